"""Print what tableaudocumentapi finds in a packaged data source. Runs in its own environment."""

from __future__ import annotations

import json
import sys
import warnings

warnings.simplefilter("ignore")  # it imports what Python has deprecated

from tableaudocumentapi import Datasource  # type: ignore[import-not-found]  # noqa: E402

source = Datasource.from_file(sys.argv[1])
found = {
    "version": source.version,
    "connections": [[c.dbclass, c.dbname] for c in source.connections],
    "fields": {
        key: {
            "id": field.id,
            "name": field.name,
            "caption": field.caption,
            "datatype": field.datatype,
            "role": field.role,
            "type": field.type,
            "description": field.description,
            "aggregation": field.default_aggregation,
        }
        for key, field in source.fields.items()
    },
}
sys.stdout.write(json.dumps(found))
