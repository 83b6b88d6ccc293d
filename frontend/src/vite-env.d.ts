/// <reference types="vite/client" />

/** Names the sources that this was built from. */
declare const __BUILD__: string;
