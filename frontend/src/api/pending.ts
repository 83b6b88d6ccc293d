/** What the server does not describe yet, by hand; it goes as the description grows. */

export interface ListenImport {
  id: number;
  status: "queued" | "running" | "done" | "failed";
  source: string;
  matched: number;
  unmatched: number;
  duplicates: number;
  rejected: number;
  examples: unknown[];
  created_at: string;
  finished_at: string | null;
}
