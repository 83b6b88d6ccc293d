import { createBrowserRouter } from "react-router";
import { ForYou } from "@/features/for-you/for-you";
import { CrashPage, NotFound } from "./error-pages";
import { Shell } from "./shell";

/** The first screen is in the entry; every other one is loaded when first asked for. */
export const router = createBrowserRouter(
  [
    {
      element: <Shell />,
      hydrateFallbackElement: <></>, // the first screen of a lazy route waits in an empty page
      errorElement: <CrashPage />,
      children: [
        { index: true, element: <ForYou />, handle: { title: "For you" } },
        {
          path: "welcome",
          lazy: async () => ({ Component: (await import("@/features/onboarding/onboarding")).Onboarding }),
          handle: { title: "Welcome" },
        },
        {
          path: "search",
          lazy: async () => ({ Component: (await import("@/features/search/search")).SearchPage }),
          handle: { title: "Search" },
        },
        {
          path: "genres/:genre",
          lazy: async () => ({ Component: (await import("@/features/search/genre-page")).GenrePage }),
          handle: { title: "Genre" },
        },
        {
          path: "tracks/:trackId",
          lazy: async () => ({ Component: (await import("@/features/search/track-page")).TrackPage }),
          handle: { title: "Track" },
        },
        {
          path: "artists/:artistId",
          lazy: async () => ({ Component: (await import("@/features/search/artist-page")).ArtistPage }),
          handle: { title: "Artist" },
        },
        {
          path: "library",
          lazy: async () => ({ Component: (await import("@/features/library/library")).LibraryPage }),
          handle: { title: "Library" },
        },
        {
          path: "taste",
          lazy: async () => ({ Component: (await import("@/features/taste/taste")).TastePage }),
          handle: { title: "My taste" },
        },
        {
          path: "settings",
          lazy: async () => ({ Component: (await import("@/features/settings/settings")).SettingsPage }),
          handle: { title: "Settings" },
        },
        { path: "*", element: <NotFound />, handle: { title: "Not found" } },
      ],
    },
  ],
  { basename: "/app/" },
);
