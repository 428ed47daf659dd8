"""A curation recipe: the thresholds of the paper's rules and how images are stored, in tables beside their owners."""

from collections.abc import Mapping
from typing import Any

from openalign.curation.duplicates.settings import DuplicateSettings
from openalign.curation.fetch.settings import FetchSettings
from openalign.curation.html.page import PageSettings
from openalign.curation.images.settings import ImageSettings, SimilaritySettings, StorageSettings, UnsafeSettings
from openalign.curation.sources.settings import TableSettings
from openalign.curation.text.settings import TextSettings
from openalign.errors import OpenAlignError
from openalign.settings import Settings


class CurateRecipe(Settings):
    """Everything that decides what a curation keeps and writes. The defaults are the paper's where it gives one."""

    pages: PageSettings = PageSettings()
    tables: TableSettings = TableSettings()
    text: TextSettings = TextSettings()
    image: ImageSettings = ImageSettings()
    duplicates: DuplicateSettings = DuplicateSettings()
    similarity: SimilaritySettings = SimilaritySettings()
    unsafe: UnsafeSettings = UnsafeSettings()
    fetch: FetchSettings = FetchSettings()
    storage: StorageSettings = StorageSettings()

    @classmethod
    def of(cls, **settings: Any) -> "CurateRecipe":
        """The defaults but for `settings`, by the names they have in their tables, which are unique.

        Raises OpenAlignError for an unknown name or a wrong value.
        """
        return cls().replace(**settings)

    def replace(self, **settings: Any) -> "CurateRecipe":
        """This recipe but for `settings`, as in `of`."""
        tables = self.model_dump()
        for name, value in settings.items():
            if name not in TABLES:
                raise OpenAlignError(f"there is no setting `{name}`; there are {', '.join(TABLES)}")
            tables[TABLES[name]][name] = value
        return self.read(tables, "settings")

    def flat(self) -> Mapping[str, Any]:
        """All settings by their names."""
        return {name: getattr(getattr(self, table), name) for name, table in TABLES.items()}


TABLES: dict[str, str] = {
    name: table
    for table, field in CurateRecipe.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, Settings)
    for name in field.annotation.model_fields
}
"""The table of each setting."""
