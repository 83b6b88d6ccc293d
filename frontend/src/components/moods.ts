/** The server's moods, in its words. */
export const MOODS = [
  { mood: "happy", label: "Happy" },
  { mood: "energetic", label: "Energetic" },
  { mood: "party", label: "Party" },
  { mood: "romantic", label: "Romantic" },
  { mood: "calm", label: "Calm" },
  { mood: "focus", label: "Focus" },
  { mood: "sad", label: "Sad" },
  { mood: "angry", label: "Angry" },
] as const;
