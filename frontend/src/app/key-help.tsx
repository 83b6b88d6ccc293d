import { CloseButton, Dialog, Portal } from "@chakra-ui/react";
import { changeSettings, localSettings } from "@/lib/settings";
import { useObservable } from "@/lib/observable";
import styles from "./shell.module.css";

const KEYS = [
  { title: "On a track", keys: [["← → ↑ ↓", "go to another track"], ["1 to 5", "rate"], ["space", "play"], ["l", "like, or take it back"], ["s", "save, or take it back"], ["x", "skip"], ["h", "hide"], ["Enter", "why this, and more"]] },
  { title: "Everywhere", keys: [["u", "undo"], ["/", "search"], ["?", "this help"], ["Esc", "close"]] },
];

export default function KeyHelp({ onClose }: { onClose: () => void }) {
  const { shortcuts } = useObservable(localSettings);
  return (
    <Dialog.Root open onOpenChange={({ open }) => !open && onClose()} placement="center" size="sm">
      <Portal>
        <Dialog.Backdrop bg="rgb(0 0 0 / 55%)" />
        <Dialog.Positioner padding="3">
          <Dialog.Content bg="panel" borderRadius="card">
            <Dialog.Header>
              <Dialog.Title fontFamily="heading" fontSize="22px">
                Keys
              </Dialog.Title>
            </Dialog.Header>
            <Dialog.Body className={styles.help}>
              {KEYS.map(({ title, keys }) => (
                <section key={title}>
                  <h3>{title}</h3>
                  <dl>
                    {keys.map(([key, what]) => (
                      <div key={key}>
                        <dt>
                          <kbd>{key}</kbd>
                        </dt>
                        <dd>{what}</dd>
                      </div>
                    ))}
                  </dl>
                </section>
              ))}
              <label>
                <input type="checkbox" checked={shortcuts} onChange={({ target }) => changeSettings({ shortcuts: target.checked })} />{" "}
                Single keys act
              </label>
            </Dialog.Body>
            <Dialog.CloseTrigger asChild>
              <CloseButton aria-label="Close" />
            </Dialog.CloseTrigger>
          </Dialog.Content>
        </Dialog.Positioner>
      </Portal>
    </Dialog.Root>
  );
}
