import { Button, Input, Slider } from "@chakra-ui/react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { useNavigate } from "react-router";
import * as api from "@/api/calls";
import type { Mood } from "@/api/calls";
import { Failure, Waiting } from "@/components/states";
import { MOODS } from "@/components/moods";
import { say } from "@/lib/acts";
import { meQuery } from "@/lib/me";
import { useDebounced } from "@/lib/use-debounced";
import { FirstList } from "./first-list";
import styles from "./onboarding.module.css";

const N_GENRES = 30;
/** What is stated later must not be overtaken by what was stated before it. */
const IN_ORDER = { id: "onboarding" };

interface Choice {
  genres: string[];
  artists: string[];
  mood: Mood | "";
  energy: number | undefined;
}

/** What one likes, in under a minute; the first list grows beside it. */
export function Onboarding() {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const { data: me } = useQuery(meQuery);
  const stated = me?.preferences;
  const [choice, setChoice] = useState<Choice>();
  const now: Choice = choice ?? {
    genres: stated?.genres ?? [],
    artists: stated?.artists ?? [],
    mood: (stated?.mood as Mood | undefined) ?? "",
    energy: stated?.energy ?? undefined,
  };
  const change = (part: Partial<Choice>) => setChoice({ ...now, ...part });
  const rested = useDebounced(choice, 350);
  const [saved, setSaved] = useState(0);
  const taken = useRef<Choice>(undefined);
  const state = async (stated: Choice) => {
    await api.setPrefs({ ...stated, energy: stated.energy ?? null });
    taken.current = stated;
  };
  const save = useMutation({ scope: IN_ORDER, mutationFn: state, onSuccess: () => setSaved((n) => n + 1) });
  const { mutate } = save;
  useEffect(() => {
    if (rested) mutate(rested);
  }, [rested, mutate]);

  const finish = useMutation({
    scope: IN_ORDER,
    mutationFn: async () => {
      if (choice && choice !== taken.current) await state(choice);
      return api.patchMe({ onboarded: true });
    },
    onSuccess: async (answer) => {
      queries.setQueryData(meQuery.queryKey, answer);
      await queries.invalidateQueries({ queryKey: ["rows"] });
      await navigate("/");
    },
    onError: () => say("The server did not take it. What you chose stays on this page; try again.", "bad"),
  });
  const n = now.genres.length + now.artists.length;

  return (
    <div className={styles.page}>
      <div className={styles.steps}>
        <header className="section">
          <h1>What do you like to hear?</h1>
          <p className="muted">Choose what comes to mind. Your first list appears as you choose, and learns from everything you do with it.</p>
        </header>
        <GenreWall chosen={now.genres} onChange={(genres) => change({ genres })} />
        <ArtistPicker chosen={now.artists} genres={now.genres} onChange={(artists) => change({ artists })} />
        <section className="section" aria-labelledby="mood">
          <h2 id="mood">Most of the time</h2>
          <div className="chips" role="group" aria-label="Mood">
            {MOODS.map(({ mood, label }) => (
              <button
                key={mood}
                type="button"
                className="chip"
                aria-pressed={now.mood === mood}
                onClick={() => change({ mood: now.mood === mood ? "" : mood })}
              >
                {label}
              </button>
            ))}
          </div>
          <Slider.Root
            className={styles.energy}
            colorPalette="accent"
            min={0}
            max={1}
            step={0.05}
            value={[now.energy ?? 0.5]}
            aria-label={["Energy"]}
            getAriaValueText={({ value }) => `${Math.round(value * 100)} %`}
            onValueChange={({ value }) => change({ energy: value[0] })}
          >
            <div className={styles.ends}>
              <span>Quiet</span>
              <span className="muted">{now.energy === undefined ? "Energy: either" : `Energy ${Math.round(now.energy * 100)} %`}</span>
              <span>Loud</span>
            </div>
            <Slider.Control>
              <Slider.Track>
                <Slider.Range />
              </Slider.Track>
              <Slider.Thumbs />
            </Slider.Control>
          </Slider.Root>
        </section>
      </div>
      <aside className={styles.side} aria-label="Your first list">
        <FirstList version={saved} isChosen={n > 0} isSaving={save.isPending} error={save.error} />
        <div className={styles.done}>
          <Button colorPalette="accent" size="lg" loading={finish.isPending} disabled={n === 0} onClick={() => finish.mutate()}>
            Show my lists
          </Button>
          <Button variant="ghost" onClick={() => finish.mutate()}>
            Skip
          </Button>
        </div>
      </aside>
    </div>
  );
}

function GenreWall({ chosen, onChange }: { chosen: string[]; onChange: (genres: string[]) => void }) {
  const { data, error, isPending, refetch } = useQuery({
    queryKey: ["genres"],
    queryFn: async () => api.itemsOf(await api.genres()),
    staleTime: 60 * 60_000,
  });
  const [isWhole, setWhole] = useState(false);
  const sorted = [...(data ?? [])].sort((a, b) => b.n_tracks - a.n_tracks);
  const shown = isWhole ? sorted : sorted.slice(0, N_GENRES);
  const toggle = (genre: string) =>
    onChange(chosen.includes(genre) ? chosen.filter((one) => one !== genre) : [...chosen, genre]);
  return (
    <section className="section" aria-labelledby="genres">
      <h2 id="genres">Genres</h2>
      {isPending && <Waiting n={12} kind="tile" label="genres" />}
      {error && !data && <Failure error={error} what="The genres" onRetry={() => void refetch()} />}
      <div className={styles.wall} role="group" aria-label="Genres">
        {shown.map(({ genre }) => (
          <button key={genre} type="button" className={styles.tile} aria-pressed={chosen.includes(genre)} onClick={() => toggle(genre)}>
            <img src={`/genres/${encodeURIComponent(genre)}/cover.svg`} alt="" width={160} height={160} loading="lazy" decoding="async" />
            <span>{genre}</span>
          </button>
        ))}
      </div>
      {sorted.length > N_GENRES && !isWhole && (
        <Button variant="ghost" size="sm" justifySelf="start" onClick={() => setWhole(true)}>
          All {sorted.length} genres
        </Button>
      )}
    </section>
  );
}

interface ArtistPickerProps {
  chosen: string[];
  genres: string[];
  onChange: (artists: string[]) => void;
}

function ArtistPicker({ chosen, genres, onChange }: ArtistPickerProps) {
  const [text, setText] = useState("");
  const q = useDebounced(text.trim());
  const input = useRef<HTMLInputElement>(null);
  const genre = genres.at(-1);
  const { data, error } = useQuery({
    queryKey: ["artists", q || `genre:${genre ?? ""}`],
    queryFn: () => api.artists(q ? { q, limit: 12 } : { genre, limit: 12 }),
    placeholderData: (old) => old,
  });
  const found = (data?.results ?? []).filter(({ artist }) => !chosen.includes(artist));
  const add = (artist: string) => {
    onChange([...chosen, artist]);
    setText("");
    input.current?.focus();
  };
  return (
    <section className="section" aria-labelledby="artists">
      <div className="head">
        <h2 id="artists">Artists</h2>
        <span className="muted" role="status">
          {chosen.length < 3 ? "Three or more help most" : `${chosen.length} chosen`}
        </span>
      </div>
      {chosen.length > 0 && (
        <ul className="chips" aria-label="Artists chosen">
          {chosen.map((artist) => (
            <li key={artist}>
              <button type="button" className="chip" aria-pressed="true" title="Take out" onClick={() => onChange(chosen.filter((one) => one !== artist))}>
                {artist} <span aria-hidden="true">×</span>
              </button>
            </li>
          ))}
        </ul>
      )}
      <Input
        ref={input}
        type="search"
        variant="subtle"
        className={styles.find}
        aria-label="Find an artist"
        placeholder="Find an artist"
        value={text}
        maxLength={200}
        autoComplete="off"
        onChange={({ target }) => setText(target.value)}
        onKeyDown={(event) => {
          const [first] = found;
          if (event.key === "Enter" && q && first) add(first.artist);
        }}
      />
      {error && !data ? (
        <p className="muted">Artists could not be loaded; the genres are enough to begin with.</p>
      ) : (
        <ul className="chips" aria-label={q ? "Artists found" : "Suggested artists"}>
          {found.map(({ artist_id, artist }) => (
            <li key={artist_id}>
              <button type="button" className="chip" onClick={() => add(artist)}>
                {artist}
              </button>
            </li>
          ))}
          {q && data && found.length === 0 && <li className="muted">Nobody in this catalogue is called “{q}”.</li>}
        </ul>
      )}
    </section>
  );
}
