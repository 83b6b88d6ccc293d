"""What is done to every request before anything else looks at it."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse


def drop_cookies_with_nul(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Drop cookies that hold NUL, which a quoted one can: Postgres would not take it as a key."""

    def middleware(request: HttpRequest) -> HttpResponse:
        request.COOKIES = {
            name: value for name, value in request.COOKIES.items() if "\x00" not in value
        }
        return get_response(request)

    return middleware
