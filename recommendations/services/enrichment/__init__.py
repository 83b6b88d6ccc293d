"""Ids, covers, years and genres from Spotify or MusicBrainz, asked politely."""
