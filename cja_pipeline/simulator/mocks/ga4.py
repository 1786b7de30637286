"""Web analytics export in a bucket: the Cloud Storage JSON API (list objects, download, metadata)."""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
from typing import Any
from urllib.parse import quote, unquote

import httpx

from cja_pipeline.simulator.world import StoredObject, World

from .common import answer, bearer, decode_cursor, encode_cursor, own_address, whole_number

_LIST = re.compile(r"^/storage/v1/b/([^/]+)/o$")
_OBJECT = re.compile(r"^/(?:download/)?storage/v1/b/([^/]+)/o/(.+)$")


def _error(status: int, reason: str, message: str) -> httpx.Response:
    return answer(
        {
            "error": {
                "code": status,
                "message": message,
                "errors": [{"domain": "global", "reason": reason, "message": message}],
            }
        },
        status,
    )


def handle(request: httpx.Request, world: World, now: dt.datetime) -> httpx.Response:
    """Answer one request as the bucket is at `now`."""
    if not bearer(request):
        return _error(401, "required", "Anonymous caller does not have storage.objects access to the bucket.")
    if request.method != "GET":
        return _error(405, "methodNotAllowed", "The mock is read-only.")
    path = request.url.raw_path.split(b"?")[0].decode()
    listing, single = _LIST.match(path), _OBJECT.match(path)
    if listing:
        return _list(request, world, now, unquote(listing.group(1)))
    if single:
        return _get(request, world, now, unquote(single.group(1)), unquote(single.group(2)))
    return _error(404, "notFound", "Not Found")


def _resource(request: httpx.Request, bucket: str, item: StoredObject) -> dict[str, Any]:
    moment = f"{dt.datetime.fromtimestamp(item.updated / 1e6, dt.UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
    path = f"storage/v1/b/{bucket}/o/{quote(item.name, safe='')}"
    root = own_address(request)
    return {
        "kind": "storage#object",
        "id": f"{bucket}/{item.name}/{item.generation}",
        "selfLink": f"{root}/{path}",
        "mediaLink": f"{root}/download/{path}?generation={item.generation}&alt=media",
        "name": item.name,
        "bucket": bucket,
        "generation": str(item.generation),
        "metageneration": "1",
        "contentType": "application/x-gzip" if item.name.endswith(".gz") else "application/octet-stream",
        "storageClass": "STANDARD",
        "size": str(item.size),
        "md5Hash": base64.b64encode(bytes.fromhex(item.md5)).decode(),
        "timeCreated": moment,
        "updated": moment,
        "etag": item.md5[:12],
    }


def _list(request: httpx.Request, world: World, now: dt.datetime, bucket: str) -> httpx.Response:
    query = request.url.params
    try:
        limit = whole_number(query.get("maxResults"), 1000, 1, 1000)
        after = decode_cursor(query["pageToken"])[0] if query.get("pageToken") else ""
    except (ValueError, TypeError, IndexError) as error:
        return _error(400, "invalid", f"Invalid argument: {error}")
    prefix, start, end = query.get("prefix", ""), query.get("startOffset", ""), query.get("endOffset")
    items = [
        item
        for item in world.ga4_objects(now)
        if item.name.startswith(prefix) and item.name >= start and item.name > after
    ]
    if end:
        items = [item for item in items if item.name < end]
    body: dict[str, Any] = {"kind": "storage#objects"}
    if len(items) > limit:
        body["nextPageToken"] = encode_cursor([items[limit - 1].name])
    if items:
        body["items"] = [_resource(request, bucket, item) for item in items[:limit]]
    return answer(body)


def _get(request: httpx.Request, world: World, now: dt.datetime, bucket: str, name: str) -> httpx.Response:
    item = next((item for item in world.ga4_objects(now) if item.name == name), None)
    wanted = request.url.params.get("generation")
    if item is None or (wanted and wanted != str(item.generation)):
        return _error(404, "notFound", f"No such object: {bucket}/{name}")
    resource = _resource(request, bucket, item)
    if request.url.params.get("alt") != "media":
        return httpx.Response(
            200, headers={"content-type": "application/json"}, content=json.dumps(resource).encode()
        )
    headers = {
        "content-type": resource["contentType"],
        "x-goog-generation": resource["generation"],
        "x-goog-hash": f"md5={resource['md5Hash']}",
        "etag": resource["etag"],
    }
    return httpx.Response(200, headers=headers, content=item.path.read_bytes())
