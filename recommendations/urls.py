"""Addresses of recommendations."""

from django.urls import path, register_converter
from django.urls.converters import StringConverter

from recommendations.views import catalogue, covers, home, listening, me, my_data, probes, services


class IdConverter(StringConverter):
    """An id as others chose it, whatever is in it: a slash (``%2F`` or plain), a line break.

    It takes all that follows, so an address that goes on after it stands before one that ends.
    """

    regex = r"(?s:.+)"


register_converter(IdConverter, "id")

urlpatterns = [
    path("recommend", listening.RecommendView.as_view(), name="api-recommend"),
    path("feedback", listening.FeedbackView.as_view(), name="api-feedback"),
    path("", home.HomeView.as_view(), name="home"),
    path("livez", probes.livez, name="livez"),
    path("readyz", probes.readyz, name="readyz"),
    path("metrics", probes.metrics, name="metrics"),
    path("recommend/rows", listening.RecommendRowsView.as_view(), name="api-recommend-rows"),
    path("tracks", catalogue.TracksView.as_view(), name="api-tracks"),
    path(
        "tracks/<id:track_id>/similar",
        catalogue.SimilarTracksView.as_view(),
        name="api-similar-tracks",
    ),
    path("tracks/<id:track_id>/cover.svg", covers.track_cover, name="track-cover"),
    path("tracks/<id:track_id>", catalogue.TrackView.as_view(), name="api-track"),
    path("genres/<id:genre>/cover.svg", covers.genre_cover, name="genre-cover"),
    path("artists", catalogue.ArtistsView.as_view(), name="api-artists"),
    path("artists/<int:artist_id>", catalogue.ArtistView.as_view(), name="api-artist"),
    path("genres", catalogue.GenresView.as_view(), name="api-genres"),
    path("trending", catalogue.TrendingView.as_view(), name="api-trending"),
    path("latest", catalogue.LatestView.as_view(), name="api-latest"),
    path("search", catalogue.SearchView.as_view(), name="api-search"),
    path("feedback/bulk", services.BulkFeedbackView.as_view(), name="api-feedback-bulk"),
    path("recommend/batch", services.BatchView.as_view(), name="api-recommend-batch"),
    path("export/<str:what>", services.ExportView.as_view(), name="api-export"),
    path("listeners", services.ListenersView.as_view(), name="api-listeners"),
    path("listeners/<id:user_id>", services.ListenerView.as_view(), name="api-listener"),
    path("feedback/<id:event_id>", me.FeedbackDetailView.as_view(), name="api-feedback-detail"),
    path("me", me.MeView.as_view(), name="api-me"),
    path("me/state", me.StateView.as_view(), name="api-me-state"),
    path("me/history", me.HistoryView.as_view(), name="api-me-history"),
    path("me/library", me.LibraryView.as_view(), name="api-me-library"),
    path("me/taste", me.TasteView.as_view(), name="api-me-taste"),
    path("me/statistics", me.StatisticsView.as_view(), name="api-me-statistics"),
    path("me/export", my_data.ExportView.as_view(), name="api-me-export"),
    path("me/import", my_data.ImportView.as_view(), name="api-me-import"),
    path("me/imports", my_data.ImportListView.as_view(), name="api-me-imports"),
    path("me/imports/<int:pk>", my_data.ImportDetailView.as_view(), name="api-me-import-detail"),
    path("me/hidden", me.HiddenListView.as_view(), name="api-me-hidden"),
    path("me/hidden/<int:pk>", me.HiddenDetailView.as_view(), name="api-me-hidden-detail"),
]
