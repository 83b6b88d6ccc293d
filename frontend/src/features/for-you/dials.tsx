import { NativeSelect, Slider } from "@chakra-ui/react";
import { useState } from "react";
import type { Activity, Device, Mood, Wishes } from "@/api/calls";
import { MOODS } from "@/components/moods";
import { ACTIVITIES, detectDevice, DEVICES } from "@/lib/device";
import styles from "./dials.module.css";

interface DialsProps {
  wishes: Wishes;
  onChange: (change: Partial<Wishes>) => void;
}

const LABELS = ["what I know", "mostly familiar", "some of both", "mostly new", "surprise me"];
const UNSET = 0.3; // where the dial stands before it is touched; nothing is sent then

/** Mood, activity, device and discovery: each turn ranks the lists anew. */
export function Dials({ wishes, onChange }: DialsProps) {
  const detected = detectDevice();
  const [dragged, setDragged] = useState<number>();
  const discovery = dragged ?? wishes.discovery ?? UNSET;
  const label = LABELS[Math.min(4, Math.floor(discovery * 5))];
  return (
    <section className={styles.dials} aria-label="For which moment">
      <div className={styles.moods} role="group" aria-label="Mood">
        {MOODS.map(({ mood, label: name }) => (
          <button
            key={mood}
            type="button"
            className="chip"
            aria-pressed={wishes.mood === mood}
            onClick={() => onChange({ mood: wishes.mood === mood ? undefined : (mood as Mood) })}
          >
            {name}
          </button>
        ))}
      </div>
      <div className={styles.second}>
        <NativeSelect.Root size="sm" width="auto">
          <NativeSelect.Field
            aria-label="What I am doing"
            value={wishes.activity ?? ""}
            onChange={({ target }) => onChange({ activity: (target.value || undefined) as Activity | undefined })}
          >
            <option value="">Doing anything</option>
            {Object.entries(ACTIVITIES).map(([key, name]) => (
              <option key={key} value={key}>
                {name}
              </option>
            ))}
          </NativeSelect.Field>
          <NativeSelect.Indicator />
        </NativeSelect.Root>
        <NativeSelect.Root size="sm" width="auto">
          <NativeSelect.Field
            aria-label="What I listen on"
            value={wishes.device_type}
            onChange={({ target }) => onChange({ device_type: target.value as Device })}
          >
            {Object.entries(DEVICES).map(([key, name]) => (
              <option key={key} value={key}>
                {key === detected ? `${name} (here)` : name}
              </option>
            ))}
          </NativeSelect.Field>
          <NativeSelect.Indicator />
        </NativeSelect.Root>
        <div className={styles.discovery}>
          <Slider.Root
            min={0}
            max={1}
            step={0.05}
            size="sm"
            colorPalette="accent"
            value={[discovery]}
            aria-label={["Discovery"]}
            getAriaValueText={({ value }) => `${Math.round(value * 100)} %: ${LABELS[Math.min(4, Math.floor(value * 5))]}`}
            onValueChange={({ value }) => setDragged(value[0])}
            onValueChangeEnd={({ value }) => {
              setDragged(undefined);
              onChange({ discovery: value[0] });
            }}
          >
            <div className={styles.labels}>
              <span>Discovery</span>
              <span className="muted">{wishes.discovery === undefined && dragged === undefined ? "as my taste asks" : label}</span>
            </div>
            <Slider.Control>
              <Slider.Track>
                <Slider.Range />
              </Slider.Track>
              <Slider.Thumbs />
            </Slider.Control>
          </Slider.Root>
        </div>
      </div>
    </section>
  );
}
