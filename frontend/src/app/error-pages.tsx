import { Button } from "@chakra-ui/react";
import { Link, useRouteError } from "react-router";
import { Empty } from "@/components/states";
import styles from "./shell.module.css";

export function NotFound() {
  return (
    <Empty title="There is nothing at this address" action={<Link to="/">Go to your lists</Link>}>
      It may have been mistyped, or the track is no longer in the catalogue.
    </Empty>
  );
}

/** A fault of the page itself, or a screen that could not be loaded because the server is away. */
export function CrashPage() {
  const error = useRouteError();
  const isLoading = error instanceof TypeError && /import|fetch|module/i.test(error.message);
  return (
    <main className={styles.crash}>
      <Empty
        title={isLoading ? "This screen could not be loaded" : "Something in this page went wrong"}
        action={
          <Button variant="outline" onClick={() => window.location.reload()}>
            Load the page again
          </Button>
        }
      >
        {isLoading
          ? "The server does not answer, or a new version was installed meanwhile. What you did is kept and will be sent."
          : "What you did so far is with the server or kept in this browser. Nothing is lost."}
      </Empty>
    </main>
  );
}
