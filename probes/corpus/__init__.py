"""Stories and neutral dialogues: writing, filtering, cells on disk, writers behind servers."""
