import type { QueryClient } from "@tanstack/react-query";
import { signOut } from "@/api/calls";
import { say } from "@/lib/acts";
import { outbox } from "@/lib/outbox";
import { forgetAnswers } from "@/lib/store";

/** Sign out, leaving nothing of what was loaded in this browser. */
export async function leave(queries: QueryClient): Promise<void> {
  if (outbox.get().waiting > 0 && !window.confirm("Some responses were not sent yet. They are sent when you sign in here again. Sign out?")) return;
  try {
    await signOut();
  } catch {
    say("The server does not answer, so you are still signed in. Try again.", "bad");
    return;
  }
  await forgetAnswers(queries).catch(() => undefined);
  window.location.assign("/");
}
