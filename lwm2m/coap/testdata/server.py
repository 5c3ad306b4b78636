"""A server of aiocoap's with what the endpoint's tests ask it for. It says its port, and ends with its standard input."""

import asyncio
import sys

import aiocoap
from aiocoap import resource


class Body(resource.Resource):
    """Keeps what is put, and gives it back."""

    body = b""

    async def render_get(self, request):
        return aiocoap.Message(payload=self.body)

    async def render_put(self, request):
        self.body = request.payload
        return aiocoap.Message(code=aiocoap.CHANGED)

    async def render_fetch(self, request):
        return aiocoap.Message(code=aiocoap.CONTENT, payload=request.payload * 2)


class Slow(resource.Resource):
    """Answers after it has acknowledged."""

    async def render_get(self, request):
        await asyncio.sleep(1)
        return aiocoap.Message(payload=b"late")


class Counter(resource.ObservableResource):
    """Counts for who observes it."""

    count = 0

    def tick(self):
        self.count += 1
        self.updated_state()
        asyncio.get_running_loop().call_later(0.2, self.tick)

    async def render_get(self, request):
        return aiocoap.Message(payload=str(self.count).encode())


async def main():
    site = resource.Site()
    counter = Counter()
    site.add_resource(["body"], Body())
    site.add_resource(["slow"], Slow())
    site.add_resource(["counter"], counter)
    # One transport on a port that the system chooses: each would choose its own.
    context = await aiocoap.Context.create_server_context(site, bind=("127.0.0.1", 0), transports=["udp6"])
    [manager] = context.request_interfaces
    socket = manager.token_interface.message_interface.transport.get_extra_info("socket")
    counter.tick()
    print(socket.getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())
