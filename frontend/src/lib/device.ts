import type { Activity, Device } from "@/api/calls";

/** Return the kind of device this page is on; speaker and car only their owner can name. */
export function detectDevice(agent = navigator.userAgent, touch = navigator.maxTouchPoints): Device {
  if (/TV|Tizen|Web0S|AFT/.test(agent)) return "tv";
  if (/iPad|Tablet|PlayBook|Silk/.test(agent) || (/Macintosh/.test(agent) && touch > 1)) return "tablet";
  if (/Android/.test(agent)) return /Mobile/.test(agent) ? "mobile" : "tablet";
  return /iPhone|iPod|Mobile/.test(agent) ? "mobile" : "desktop";
}

export const DEVICES: Record<Device, string> = {
  desktop: "Computer",
  mobile: "Phone",
  tablet: "Tablet",
  speaker: "Speaker",
  car: "Car",
  tv: "TV",
};

export const ACTIVITIES: Record<Activity, string> = {
  waking: "Waking up",
  commute: "On the way",
  work: "Working",
  workout: "Working out",
  relax: "Relaxing",
  party: "Party",
  sleep: "Falling asleep",
};
