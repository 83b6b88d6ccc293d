"""Forms of the account pages."""

from typing import Any, Self

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.password_validation import (
    password_validators_help_texts,
    validate_password,
)
from django.core.exceptions import ValidationError

from accounts.models import MAX_EMAIL, Listener, User
from accounts.vocabulary import Mood
from musicrec.limits import counts


class LoginForm(AuthenticationForm):
    """Email and password."""

    username = forms.EmailField(
        label="Email", widget=forms.EmailInput(attrs={"autocomplete": "email", "autofocus": True})
    )

    def clean(self) -> dict[str, Any]:
        """Check the password, unless the account was tried too often."""
        email = (self.cleaned_data.get("username") or "").lower()
        if email and not counts().add(f"login:{email}", limit=10):
            raise ValidationError("Too many tries for this account. Wait a minute.")
        return super().clean()


class RegistrationForm(forms.Form):
    """A new account."""

    email = forms.EmailField(
        max_length=MAX_EMAIL, widget=forms.EmailInput(attrs={"autocomplete": "email"})
    )
    password = forms.CharField(
        max_length=128,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=" ".join(password_validators_help_texts()[1:2]),
    )

    def clean_email(self) -> str:
        """Fold to lower case, as emails are kept; that may make them longer."""
        email: str = self.cleaned_data["email"].lower()
        if len(email) > MAX_EMAIL:
            raise ValidationError(f"This is longer than {MAX_EMAIL} characters.")
        return email

    def clean(self) -> dict[str, Any]:
        """Check the password against the rules."""
        cleaned = super().clean() or {}
        if "email" in cleaned and "password" in cleaned:
            try:
                validate_password(cleaned["password"], User(email=cleaned["email"]))
            except ValidationError as error:
                self.add_error("password", error)
        return cleaned


class PreferencesForm(forms.Form):
    """What a listener says they like."""

    genres = forms.CharField(
        required=False, max_length=2000, help_text="Separated by commas, for example: jazz, soul"
    )
    energy = forms.FloatField(
        required=False,
        min_value=0,
        max_value=1,
        help_text="0 is calm, 1 is intense",
        widget=forms.NumberInput(attrs={"step": 0.1}),
    )
    mood = forms.ChoiceField(required=False, choices=[("", "No mood"), *Mood.choices])

    @classmethod
    def of(cls, listener: Listener) -> Self:
        """Return the form filled with what the listener said before."""
        preferences = getattr(listener, "preferences", None)
        if preferences is None:
            return cls()
        return cls(
            initial={
                "genres": ", ".join(preferences.genres),
                "energy": preferences.energy,
                "mood": preferences.mood,
            }
        )

    def clean_genres(self) -> list[str]:
        """Split at commas, fold to lower case, keep each once."""
        names = [name.strip().lower() for name in self.cleaned_data["genres"].split(",")]
        genres = list(dict.fromkeys(name for name in names if name))
        if len(genres) > 50 or any(len(name) > 100 for name in genres):
            raise ValidationError("At most 50 genres, of at most 100 characters each.")
        return genres
