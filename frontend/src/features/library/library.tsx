import { useSearchParams } from "react-router";
import { HiddenList } from "./hidden-list";
import { History } from "./history";
import { Shelf } from "./shelf";

const TABS = [
  { key: "saved", label: "Saved" },
  { key: "liked", label: "Liked" },
  { key: "rated", label: "Rated" },
  { key: "history", label: "History" },
  { key: "hidden", label: "Hidden" },
] as const;

/** What one said about tracks so far, and the way back from each. */
export function LibraryPage() {
  const [params, setParams] = useSearchParams();
  const tab = TABS.find(({ key }) => key === params.get("show"))?.key ?? "saved";
  return (
    <div className="page">
      <header className="section">
        <h1>Library</h1>
        <div className="chips" role="group" aria-label="What to show">
          {TABS.map(({ key, label }) => (
            <button key={key} type="button" className="chip" aria-pressed={tab === key} onClick={() => setParams({ show: key }, { replace: true })}>
              {label}
            </button>
          ))}
        </div>
      </header>
      {tab === "history" && <History />}
      {tab === "hidden" && <HiddenList />}
      {(tab === "saved" || tab === "liked" || tab === "rated") && <Shelf key={tab} state={tab} />}
    </div>
  );
}
