// Forgets what the client at /app/ kept of somebody's lists, where nobody is signed in: however the
// session ended, the next person finds nothing.  What waits to be sent stays; it says whose it is.
"use strict";

try {
  const opening = indexedDB.open("musicrec");
  opening.onupgradeneeded = () => opening.transaction.abort(); // there is none, and none is made
  opening.onerror = (event) => event.preventDefault();
  opening.onsuccess = () => {
    const db = opening.result;
    db.transaction("answers", "readwrite").objectStore("answers").clear();
    db.close();
  };
} catch {
  // storage may be forbidden; then nothing was kept either
}
