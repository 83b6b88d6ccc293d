/** Whether the page may load an image or a sound: its policy blocks every host that the server does not list. */
export function mayLoad(address: string | null | undefined): address is string {
  if (!address || !URL.canParse(address, location.href)) return false;
  const { host, origin, protocol } = new URL(address, location.href);
  if (origin === location.origin) return true;
  const listed = document.querySelector<HTMLMetaElement>('meta[name="media-hosts"]')?.content ?? "";
  return (
    protocol === "https:" &&
    listed.split(" ").some((name) => (name.startsWith("*.") ? host.endsWith(name.slice(1)) : host === name))
  );
}
