"""How the API's description names our ways to authenticate."""

from drf_spectacular.extensions import OpenApiAuthenticationExtension


class TokenScheme(OpenApiAuthenticationExtension):
    """Bearer tokens."""

    target_class = "accounts.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        """Return the OpenAPI object."""
        return {"type": "http", "scheme": "bearer"}


class ServiceScheme(OpenApiAuthenticationExtension):
    """Keys of services."""

    target_class = "accounts.service_authentication.ServiceAuthentication"
    name = "service"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        """Return the OpenAPI object."""
        return {"type": "http", "scheme": "bearer", "description": "a service's key, ms_..."}
