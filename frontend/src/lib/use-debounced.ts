import { useEffect, useState } from "react";

/** Return the value once it has rested for a moment. */
export function useDebounced<T>(value: T, ms = 180): T {
  const [rested, setRested] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setRested(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return rested;
}
