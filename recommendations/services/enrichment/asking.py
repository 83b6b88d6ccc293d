"""Asking another service over HTTP without being a burden to it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from musicrec.exceptions import RuleViolation

TIMEOUT = (5, 20)
MOST_REDIRECTS = 5
LONGEST_WAIT = 300
"""Seconds of a Retry-After that are waited for; with a longer one the run ends, to be resumed."""


class ProviderRefuses(RuleViolation):
    """The service does not answer, or not with what it documents; asking may be resumed later."""

    code = "provider_refuses"


class Asker:
    """A session that keeps a pause between questions and waits as long as it is told to.

    429, 502, 503 and 504 are asked again, after `Retry-After` where it is given and else after 1,
    2, 4, ... seconds, six times.  An answer that leads elsewhere is followed to the service's own
    `hosts` alone.
    """

    def __init__(
        self,
        name: str,
        *,
        pause: float,
        headers: dict[str, str] | None = None,
        hosts: Sequence[str] = (),
    ) -> None:
        self._name, self._pause, self._hosts = name, pause, hosts
        self._next_at = 0.0
        self.session = requests.Session()
        self.session.headers.update(headers or {})
        retry = Retry(
            total=6,
            status_forcelist={429, 502, 503, 504},
            allowed_methods={"GET", "POST"},
            backoff_factor=1,
            respect_retry_after_header=True,
            retry_after_max=LONGEST_WAIT,
            raise_on_status=False,
        )
        for scheme in ("https://", "http://"):
            self.session.mount(scheme, HTTPAdapter(max_retries=retry))

    def get(self, url: str, **params: Any) -> dict[str, Any] | None:
        """Return the JSON answer; None where there is nothing at this address.

        Raises:
            ProviderRefuses: whatever else came.
        """
        return self._ask("GET", url, params=params)

    def post(self, url: str, *, auth: tuple[str, str], data: dict[str, str]) -> dict[str, Any]:
        """Return the JSON answer to a form.

        Raises:
            ProviderRefuses: whatever else came.
        """
        answer = self._ask("POST", url, auth=auth, data=data)
        if answer is None:
            raise ProviderRefuses(f"{self._name} has nothing at {url}.")
        return answer

    def _ask(self, method: str, url: str, **how: Any) -> dict[str, Any] | None:
        wait = self._next_at - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        try:
            response = self._follow(
                self.session.request(method, url, timeout=TIMEOUT, allow_redirects=False, **how)
            )
        except requests.RequestException as error:
            raise ProviderRefuses(
                f"{self._name} does not answer: {type(error).__name__}."
            ) from error
        finally:
            self._next_at = time.monotonic() + self._pause
        if response.status_code == 404:
            return None
        if not response.ok:
            raise ProviderRefuses(f"{self._name} answers {response.status_code}.")
        try:
            answer = response.json()
        except requests.JSONDecodeError as error:
            raise ProviderRefuses(f"{self._name} answers no JSON.") from error
        if not isinstance(answer, dict):
            raise ProviderRefuses(f"{self._name} answers no JSON object.")
        return answer

    def _follow(self, response: requests.Response) -> requests.Response:
        for _ in range(MOST_REDIRECTS):
            following = response.next
            if following is None:
                return response
            url = address_to_follow(response.url, following.url or "", self._hosts)
            if not url:
                raise ProviderRefuses(f"{self._name} points to an address that is not its own.")
            following.url = url
            response = self.session.send(following, timeout=TIMEOUT, allow_redirects=False)
        raise ProviderRefuses(f"{self._name} redirects without end.")


def address_to_follow(asked: str, following: str, hosts: Sequence[str]) -> str:
    """Return the address that an answer leads to, and "" where it must not be asked.

    Within the origin any is; else one of `hosts` or a host below one, at its usual port and by TLS.
    Whoever could make a service answer so would otherwise reach what only this machine reaches
    (server-side request forgery).
    """
    here, there = urlsplit(asked), urlsplit(following)
    if (here.scheme, here.netloc) == (there.scheme, there.netloc):
        return following
    name = there.netloc
    if there.scheme not in ("http", "https") or not any(
        name == host or name.endswith(f".{host}") for host in hosts
    ):
        return ""
    return there._replace(scheme="https").geturl()
