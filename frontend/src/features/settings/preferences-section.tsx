import { Button } from "@chakra-ui/react";
import { Link } from "react-router";
import type { Me } from "@/api/types";
import { Section } from "./section";
import styles from "./settings.module.css";

/** What one said one likes; the pictures of the first visit change it. */
export function PreferencesSection({ preferences }: { preferences: Me["preferences"] }) {
  const { genres = [], artists = [], mood, energy } = preferences;
  return (
    <Section title="What I like" note="What you said yourself. What you do with tracks counts more and more beside it.">
      <dl className={styles.stated}>
        <dt>Genres</dt>
        <dd>{genres.join(", ") || "none said"}</dd>
        <dt>Artists</dt>
        <dd>{artists.join(", ") || "none said"}</dd>
        <dt>Mood</dt>
        <dd>{mood || "none said"}</dd>
        <dt>Energy</dt>
        <dd className="number">{energy == null ? "none said" : `${Math.round(energy * 100)} %`}</dd>
      </dl>
      <Button asChild variant="outline" justifySelf="start">
        <Link to="/welcome">Change</Link>
      </Button>
    </Section>
  );
}
