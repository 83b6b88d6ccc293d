import { useQuery, useQueryClient } from "@tanstack/react-query";
import { AudioLines, Disc3, LibraryBig, Search, Settings2 } from "lucide-react";
import { lazy, Suspense, useEffect, useRef, useState } from "react";
import { Navigate, NavLink, Outlet, ScrollRestoration, useLocation, useMatches, useNavigation, useNavigate } from "react-router";
import { isSignedOut, whenSignedOut } from "@/api/client";
import { askAgain, bind, lookForNews, undoLast } from "@/lib/acts";
import { announced } from "@/lib/announce";
import { meQuery, stateQuery } from "@/lib/me";
import { useObservable } from "@/lib/observable";
import { isShortcut } from "@/lib/settings";
import { forgetAnswers } from "@/lib/store";
import { whenOtherTabChanges } from "@/lib/tabs";
import { AwayBar } from "./away-bar";
import { NoticeBar } from "./notice-bar";
import styles from "./shell.module.css";

const KeyHelp = lazy(() => import("./key-help"));

const PLACES = [
  { to: "/", label: "For you", icon: Disc3 },
  { to: "/search", label: "Search", icon: Search },
  { to: "/library", label: "Library", icon: LibraryBig },
  { to: "/taste", label: "My taste", icon: AudioLines },
  { to: "/settings", label: "Settings", icon: Settings2 },
];
const POLL_MS = 3000;

/** The frame of every screen: where one can go, what happened, and whether the server is there. */
export function Shell() {
  const { data: me, dataUpdatedAt } = useQuery({ ...meQuery, refetchOnMount: "always" });
  const [isHelpOpen, setHelpOpen] = useState(false);
  const main = useRef<HTMLElement>(null);
  const { pathname } = useLocation();
  const isLoading = useNavigation().state === "loading";

  useSignInWhenAsked();
  useServerChanges(me?.user_id);
  const visit = useVisit(me?.user_id);
  useShortcuts(() => setHelpOpen(true));
  useTitle();
  useFocusOnNavigation(main, pathname);

  // What an earlier visit kept may be out of date: only the server says who is new.
  const isFresh = dataUpdatedAt > performance.timeOrigin;
  const isNewcomer = isFresh && me && !me.onboarded && me.n_feedback === 0 && !me.preferences.genres?.length;
  if (isNewcomer && pathname === "/") return <Navigate to="/welcome" replace />;

  return (
    <div className={styles.frame} data-loading={isLoading || undefined}>
      <a className={styles.skip} href="#content">
        Skip to content
      </a>
      <header className={styles.rail}>
        <a className={styles.brand} href="/">
          <svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
            <circle cx="16" cy="16" r="15" fill="var(--accent)" />
            <path d="M16 5a11 11 0 0 1 11 11M16 9.5a6.5 6.5 0 0 1 6.5 6.5" fill="none" stroke="var(--on-accent)" strokeWidth="1.8" strokeLinecap="round" />
            <circle cx="16" cy="16" r="2.8" fill="var(--on-accent)" />
          </svg>
          <span>musicrec</span>
        </a>
        <nav aria-label="Main" className={styles.places}>
          {PLACES.map(({ to, label, icon: Icon }) => (
            <NavLink key={to} to={to} end={to === "/"} className={styles.place}>
              <Icon size={20} aria-hidden="true" />
              <span>{label}</span>
            </NavLink>
          ))}
        </nav>
        <div className={styles.foot}>
          <button type="button" className={styles.keys} onClick={() => setHelpOpen(true)}>
            <kbd>?</kbd> Keys
          </button>
          {me?.is_staff && <a href="/analytics/ab-testing">Console</a>}
          {me?.simulated && <p className={styles.simulated}>Simulated listener</p>}
          <p className={styles.who} title={me?.email}>
            {me?.email ?? " "}
          </p>
        </div>
      </header>
      <div className={styles.body}>
        <AwayBar />
        <main id="content" ref={main} tabIndex={-1} className={styles.main}>
          <Outlet key={visit} />
        </main>
      </div>
      <NoticeBar />
      <LiveRegion />
      {isHelpOpen && (
        <Suspense fallback={null}>
          <KeyHelp onClose={() => setHelpOpen(false)} />
        </Suspense>
      )}
      <ScrollRestoration />
    </div>
  );
}

function LiveRegion() {
  const { text, n } = useObservable(announced);
  return (
    <p className="visually-hidden" role="status" aria-live="polite" data-testid="live">
      {/* a trailing space of changing length lets the same words be read out again */}
      {text + (n % 2 ? " " : "")}
    </p>
  );
}

/** When the session ended, sign in and come back; what was not sent yet waits for that. */
function useSignInWhenAsked(): void {
  useEffect(() => {
    whenSignedOut(() => {
      const here = window.location.pathname + window.location.search;
      window.location.assign(`/account/login?next=${encodeURIComponent(here)}`);
    });
    return () => whenSignedOut(() => undefined);
  }, []);
}

/** Speak for the listener, and follow what other tabs, other devices and imports change. */
function useServerChanges(userId: string | undefined): void {
  const queries = useQueryClient();
  useEffect(() => {
    if (!userId) return;
    const stop = bind(userId, queries);
    const unlisten = whenOtherTabChanges(() => lookForNews(queries));
    return () => {
      stop();
      unlisten();
    };
  }, [userId, queries]);

  // Asked whether or not it is known who one is: this is also how a server that is away is noticed.
  const { data, error } = useQuery({ ...stateQuery, refetchInterval: POLL_MS });
  const seen = useRef<string>(undefined);
  const version = data?.version;
  useEffect(() => {
    if (version === undefined) return;
    if (seen.current !== undefined && seen.current !== version) askAgain(queries);
    seen.current = version;
  }, [version, queries]);
  useEffect(() => {
    if (isSignedOut(error)) void queries.invalidateQueries({ queryKey: ["me"] }); // which leads to signing in
  }, [error, queries]);
}

/** Begin a new visit, with nothing of the one before, when somebody else turns out to be signed in; returns its number. */
function useVisit(userId: string | undefined): number {
  const queries = useQueryClient();
  const [visit, setVisit] = useState(0);
  const previous = useRef<string>(undefined);
  useEffect(() => {
    if (!userId || userId === previous.current) return;
    if (previous.current) {
      const asked = [meQuery, stateQuery].map(({ queryKey }) => queryKey[0]);
      forgetAnswers(queries, ({ queryKey }) => asked.includes(String(queryKey[0]))).catch(() => undefined);
      setVisit((n) => n + 1);
    }
    previous.current = userId;
  }, [userId, queries]);
  return visit;
}

/** Keys that work everywhere; those of a card belong to the card. */
function useShortcuts(openHelp: () => void): void {
  const navigate = useNavigate();
  const help = useRef(openHelp);
  help.current = openHelp;
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.defaultPrevented || !isShortcut(event) || isTyping(event.target)) return;
      if (event.key === "u") void undoLast();
      else if (event.key === "/") void navigate("/search", { state: { focus: true } });
      else if (event.key === "?") help.current();
      else if (/^Arrow(Right|Down)$/.test(event.key) && document.activeElement === document.body) {
        document.querySelector<HTMLElement>("[data-card]")?.focus();
      } else return;
      event.preventDefault();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [navigate]);
}

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) || target.closest("[role=dialog]") !== null)
  );
}

function useTitle(): void {
  const handle = useMatches().at(-1)?.handle as { title?: string } | undefined;
  const title = handle?.title;
  useEffect(() => {
    document.title = title ? `${title} · musicrec` : "musicrec";
  }, [title]);
}

/** Move the focus to the new screen, as loading a page would; not at the first one. */
function useFocusOnNavigation(main: React.RefObject<HTMLElement | null>, pathname: string): void {
  const before = useRef(pathname);
  useEffect(() => {
    if (before.current === pathname) return;
    before.current = pathname;
    if (!main.current?.contains(document.activeElement)) main.current?.focus({ preventScroll: true });
  }, [main, pathname]);
}
