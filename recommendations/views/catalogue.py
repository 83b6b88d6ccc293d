"""Reading the catalogue; open to everybody."""

from typing import Any

import numpy as np
from django.db.models import Count
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils.decorators import method_decorator
from django.views.decorators.http import conditional_page
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import AllowAny, BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import ServicesOnly
from accounts.service_accounts import Scope
from musicrec.paging import MAX_LIMIT, QUERY, KeysetPages
from musicrec.parsers import BulkJSONParser, TakesBulk
from recommendations.core.arrays import top_k
from recommendations.core.search_text import normalize
from recommendations.models import Artist, Genre, Track
from recommendations.models.search import best_matches
from recommendations.serializers import (
    ArtistDetailSerializer,
    ArtistPageSerializer,
    FoundSerializer,
    FullTrackSerializer,
    GenreSummarySerializer,
    SimilarTrackSerializer,
    TrackPageSerializer,
    full_track_data,
    row_data,
    track_data,
)
from recommendations.serializers_services import (
    MAX_TRACKS,
    TrackFactsSerializer,
    TrackInputSerializer,
    UpsertedSerializer,
)
from recommendations.services.imports.tracks import ImportReport
from recommendations.services.similar import similar_artists, similar_tracks
from recommendations.services.upserts import upsert_tracks
from recommendations.serving import state

MAX_QUERY = 200
N_TRACKS_OF_ARTIST = 20
N_SIMILAR_ARTISTS = 10

PAGING = [OpenApiParameter(**one) for one in QUERY]


class QuerySerializer(serializers.Serializer):
    """What a list of the catalogue may be narrowed by."""

    q = serializers.CharField(max_length=MAX_QUERY, required=False, allow_blank=True)
    genre = serializers.CharField(max_length=100, required=False, allow_blank=True)


class TrackQuerySerializer(QuerySerializer):
    """What a list of tracks may be narrowed by."""

    artist_id = serializers.IntegerField(min_value=1, max_value=2**63 - 1, required=False)
    year_from = serializers.IntegerField(min_value=0, max_value=9999, required=False)
    year_to = serializers.IntegerField(min_value=0, max_value=9999, required=False)


class LimitSerializer(serializers.Serializer):
    """How many to answer."""

    limit = serializers.IntegerField(min_value=1, max_value=MAX_LIMIT, default=10)


class TrendSerializer(LimitSerializer):
    """How much of the trend to answer."""

    limit = serializers.IntegerField(min_value=1, max_value=MAX_LIMIT, default=20)
    genre = serializers.CharField(max_length=100, required=False, allow_blank=True)


class SearchSerializer(serializers.Serializer):
    """What to look for."""

    q = serializers.CharField(max_length=MAX_QUERY, allow_blank=True)
    limit = serializers.IntegerField(min_value=1, max_value=20, default=5)


def validated(serializer: type[serializers.Serializer], request: Request) -> dict[str, Any]:
    """Return a request's query, checked.

    Raises:
        ValidationError: a parameter cannot be read; or a text holds what Postgres cannot.
    """
    query = serializer(data=request.query_params)
    query.is_valid(raise_exception=True)
    return dict(query.validated_data)


@method_decorator(conditional_page, name="dispatch")
class CatalogueView(APIView):
    """A read of the catalogue: for everybody, with an ETag over what is answered."""

    permission_classes = (AllowAny,)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Let a client keep the answer, and ask whether it still holds."""
        answer = super().finalize_response(request, response, *args, **kwargs)
        answer.headers.setdefault("Cache-Control", "private, no-cache")
        return answer


class TrackWriter:
    """Lets everybody read, and services with the scope `write` change."""

    service_scopes = {"PUT": Scope.WRITE}

    def get_permissions(self) -> list[BasePermission]:
        """Return who may call, by method."""
        return [ServicesOnly()] if self.request.method == "PUT" else [AllowAny()]  # type: ignore[attr-defined]


class TracksView(TakesBulk, TrackWriter, CatalogueView):
    """The tracks."""

    pages = KeysetPages("standing", "id")
    parser_classes = (BulkJSONParser,)

    @extend_schema(
        operation_id="tracks_upsert",
        request=TrackInputSerializer(many=True),
        responses={200: UpsertedSerializer},
    )
    def put(self, request: Request) -> Response:
        """Create up to 1,000 tracks, or replace what is known of them; all or none."""
        rows = request.data
        if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_TRACKS:
            raise ValidationError(f"The body is a list of 1 to {MAX_TRACKS} tracks.")
        serializer = TrackInputSerializer(data=rows, many=True)
        serializer.is_valid(raise_exception=True)
        return Response(_upserted(upsert_tracks(serializer.validated_data)))

    @extend_schema(
        operation_id="tracks_list",
        parameters=[TrackQuerySerializer, *PAGING],
        responses={200: TrackPageSerializer},
    )
    def get(self, request: Request) -> Response:
        """Answer the tracks that match, best known first."""
        given = validated(TrackQuerySerializer, request)
        tracks = Track.objects.active().with_facts()
        if given.get("q"):
            tracks = tracks.matching(given["q"])
        if given.get("genre"):
            tracks = tracks.of_genre(given["genre"])
        narrowed = {
            "artist_id": given.get("artist_id"),
            "year__gte": given.get("year_from"),
            "year__lte": given.get("year_to"),
        }
        tracks = tracks.filter(**{name: at for name, at in narrowed.items() if at is not None})
        return self.pages.answer(request, tracks, track_data)


class TrackView(TrackWriter, CatalogueView):
    """One track."""

    @extend_schema(
        operation_id="track_upsert",
        request=TrackFactsSerializer,
        responses={200: UpsertedSerializer},
    )
    def put(self, request: Request, track_id: str) -> Response:
        """Create a track, or replace what is known of it."""
        if not isinstance(request.data, dict):
            raise ValidationError("The body is an object.")
        serializer = TrackInputSerializer(data={**request.data, "track_id": track_id})
        serializer.is_valid(raise_exception=True)
        return Response(_upserted(upsert_tracks([serializer.validated_data])))

    @extend_schema(operation_id="track_read", responses={200: FullTrackSerializer})
    def get(self, request: Request, track_id: str) -> Response:
        """Answer a track with what it sounds like."""
        track = Track.objects.active().with_facts().filter(track_id=track_id).first()
        if track is None:
            raise Http404("There is no such track.")
        return Response(full_track_data(track))


class SimilarTracksView(CatalogueView):
    """Tracks like another one."""

    @extend_schema(parameters=[LimitSerializer], responses={200: SimilarTrackSerializer(many=True)})
    def get(self, request: Request, track_id: str) -> Response:
        """Answer the tracks most like one, best first."""
        found = similar_tracks(track_id, k=validated(LimitSerializer, request)["limit"])
        if found is None:
            raise Http404("There is no such track.")
        catalogue, tracks = found
        return Response(
            [
                row_data(catalogue, track.row)
                | {"similarity": track.similarity, "source": track.source}
                for track in tracks
            ]
        )


class ArtistsView(CatalogueView):
    """The artists."""

    pages = KeysetPages("standing", "id")

    @extend_schema(
        operation_id="artists_list",
        parameters=[QuerySerializer, *PAGING],
        responses={200: ArtistPageSerializer},
    )
    def get(self, request: Request) -> Response:
        """Answer the artists that match, best known first."""
        given = validated(QuerySerializer, request)
        artists = Artist.objects.all()
        if given.get("q"):
            artists = artists.matching(given["q"])
        if given.get("genre"):
            tracks = Track.objects.active().of_genre(given["genre"])
            artists = artists.filter(pk__in=tracks.values("artist_id"))
        return self.pages.answer(request, artists, artist_data)


class ArtistView(CatalogueView):
    """One artist."""

    @extend_schema(operation_id="artist_read", responses={200: ArtistDetailSerializer})
    def get(self, request: Request, artist_id: int) -> Response:
        """Answer an artist with their best-known tracks and the artists nearest to them."""
        artist = get_object_or_404(Artist, pk=min(artist_id, 2**63 - 1))
        own = Track.objects.active().filter(artist=artist)
        genres = (
            Genre.objects.filter(tracks__artist=artist, tracks__is_active=True)
            .annotate(n=Count("pk"))
            .order_by("-n", "name")
        )
        stage = state.current()
        similar = similar_artists(stage, artist.pk, k=N_SIMILAR_ARTISTS)
        return Response(
            artist_data(artist)
            | {
                "genres": [genre.name for genre in genres[:20]],
                "n_tracks": own.count(),
                "tracks": [
                    track_data(track)
                    for track in own.with_facts().best_known_first()[:N_TRACKS_OF_ARTIST]
                ],
                "similar": [{"artist_id": pk, "artist": name} for pk, name in similar],
            }
        )


class GenresView(CatalogueView):
    """The genres."""

    @extend_schema(responses={200: GenreSummarySerializer(many=True)})
    def get(self, request: Request) -> Response:
        """Answer every genre with its mean energy and valence, and the genres beside it."""
        summaries = state.current().catalogue.genre_summaries
        return Response(GenreSummarySerializer(summaries, many=True).data)


class TrendingView(CatalogueView):
    """What is listened to of late."""

    @extend_schema(parameters=[TrendSerializer], responses={200: TrackPageSerializer})
    def get(self, request: Request) -> Response:
        """Answer the tracks listened to most of late; the best known where nothing was."""
        given = validated(TrendSerializer, request)
        stage = state.current()
        catalogue = stage.catalogue
        scores = np.log1p(stage.heat) + 1e-3 * catalogue.popularity
        if given.get("genre"):
            wanted = normalize(given["genre"])
            inside = np.zeros(len(catalogue), bool)
            for name, rows in catalogue.genre_rows.items():
                if normalize(name) == wanted:
                    inside[rows] = True
            scores = np.where(inside, scores, -np.inf)
        rows = top_k(scores, given["limit"]).tolist() if len(scores) else []
        results = [row_data(catalogue, row) for row in rows]
        return Response({"next": None, "previous": None, "results": results})


class LatestView(CatalogueView):
    """What came into the catalogue last."""

    pages = KeysetPages("id")

    @extend_schema(
        parameters=[OpenApiParameter("genre", {"type": "string", "maxLength": 100}), *PAGING],
        responses={200: TrackPageSerializer},
    )
    def get(self, request: Request) -> Response:
        """Answer the newest tracks of the catalogue."""
        given = validated(QuerySerializer, request)
        tracks = Track.objects.active().with_facts()
        if given.get("genre"):
            tracks = tracks.of_genre(given["genre"])
        return self.pages.answer(request, tracks, track_data)


class SearchView(CatalogueView):
    """Search as one types."""

    @extend_schema(parameters=[SearchSerializer], responses={200: FoundSerializer})
    def get(self, request: Request) -> Response:
        """Answer the tracks, artists and genres that a few letters most likely mean."""
        given = validated(SearchSerializer, request)
        text, limit = given["q"], given["limit"]
        tracks = best_matches(Track.objects.active().with_facts(), text, limit=limit)
        artists = best_matches(Artist.objects.all(), text, limit=limit)
        return Response(
            {
                "tracks": [track_data(track) for track in tracks],
                "artists": [artist_data(artist) for artist in artists],
                "genres": _genres_like(text)[:limit],
            }
        )


def _upserted(report: ImportReport) -> dict[str, int]:
    return {
        "created": report.created,
        "changed": report.changed,
        "unchanged": report.unchanged,
    }


def artist_data(artist: Artist) -> dict[str, Any]:
    """Return what a list says of an artist."""
    return {"artist_id": artist.pk, "artist": artist.name}


def _genres_like(text: str) -> list[str]:
    """Return the genres of active tracks that begin with `text`, then those that hold it."""
    wanted = normalize(text)
    if not wanted:
        return []
    summaries = state.current().catalogue.genre_summaries
    places = [(normalize(each.genre), -each.n_tracks, each.genre) for each in summaries]
    found = [(not name.startswith(wanted), n, genre) for name, n, genre in places if wanted in name]
    return [genre for _, _, genre in sorted(found)]
