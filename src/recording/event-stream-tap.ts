import { isRecord } from '../is-record.ts';
import type { EventStream, StreamChunk, StreamListener } from '../wire.ts';
import type { CallLines, LineBody } from './call-lines.ts';
import type { Control, ThrownRecord } from './format.ts';
import { codeOf, control, said, type TappedConnection } from './socket-tap.ts';

/** Opens the stream beneath with a body and a listener that are written down as they pass. */
export function tapEventStream(
  tapped: TappedConnection,
  body: AsyncIterable<StreamChunk>,
  listener: StreamListener,
  open: (body: AsyncIterable<StreamChunk>, listener: StreamListener) => EventStream,
): EventStream {
  const { lines } = tapped;
  const stream = open(tapBody(tapped, body), tapStreamListener(tapped, listener));
  return {
    abort: () => {
      lines.left(() => control(tapped, 'out', { type: 'terminate' }));
      stream.abort();
    },
  };
}

function tapStreamListener(tapped: TappedConnection, listener: StreamListener): StreamListener {
  const { lines } = tapped;
  const tell = (ctl: () => Control): void => lines.arrived(() => control(tapped, 'in', ctl()));
  return {
    connected: () => {
      tell(() => ({ type: 'open' }));
      listener.connected();
    },
    accepted: () => {
      tell(() => ({ type: 'accepted' }));
      listener.accepted();
    },
    received: (bytes) => {
      lines.arrived(() => said(tapped, 'in', textOf(bytes), false));
      listener.received(bytes);
    },
    ended: (thrown, networkCode) => {
      tell(() => ({ type: 'ended', error: thrownRecord(thrown, lines), networkCode }));
      listener.ended(thrown, networkCode);
    },
  };
}

/**
 * Chunk by chunk as the service takes them, each before it leaves. One that had waited leaves because the service takes
 * it, which is something from outside; one that was waited for leaves because the call has put it there.
 */
function tapBody(tapped: TappedConnection, body: AsyncIterable<StreamChunk>): AsyncIterable<StreamChunk> {
  const { lines } = tapped;
  const take = (inner: AsyncIterator<StreamChunk>): Promise<IteratorResult<StreamChunk, unknown>> => {
    const taking = inner.next();
    let hadWaited = true;
    const result = taking.then((found) => {
      const line = (): LineBody => said(tapped, 'out', textOf(found.value.chunk.bytes), false);
      if (found.done === true) return found;
      if (hadWaited) lines.arrived(line);
      else lines.left(line);
      return found;
    });
    // Behind what is there already.
    queueMicrotask(() => {
      hadWaited = false;
    });
    return result;
  };
  return {
    [Symbol.asyncIterator]: () => {
      const inner = body[Symbol.asyncIterator]();
      return {
        next: () => take(inner),
        ...(inner.return === undefined ? {} : { return: (value) => returned(inner, value) }),
        ...(inner.throw === undefined ? {} : { throw: (thrown) => threw(inner, thrown) }),
      } satisfies AsyncIterator<StreamChunk, unknown>;
    },
  };
}

async function returned(
  inner: AsyncIterator<StreamChunk>,
  value: unknown,
): Promise<IteratorResult<StreamChunk, unknown>> {
  return (await inner.return?.(value)) ?? { done: true, value };
}

async function threw(
  inner: AsyncIterator<StreamChunk>,
  thrown: unknown,
): Promise<IteratorResult<StreamChunk, unknown>> {
  return (await inner.throw?.(thrown)) ?? { done: true, value: undefined };
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}

/** What of something thrown an adapter may look at: an SDK puts the rest of the world into it, credentials included. */
function thrownRecord(thrown: unknown, lines: CallLines): ThrownRecord | undefined {
  if (thrown === undefined) return undefined;
  if (!isRecord(thrown)) {
    return {
      name: 'Error',
      message: typeof thrown === 'string' ? lines.hide.text(thrown) : 'no reason given',
    };
  }
  const { name, message, $metadata: metadata, $fault: fault } = thrown;
  const status = isRecord(metadata) ? metadata['httpStatusCode'] : undefined;
  return {
    name: typeof name === 'string' ? name : 'Error',
    message: typeof message === 'string' ? lines.hide.text(message) : '',
    code: codeOf(thrown),
    status: typeof status === 'number' ? status : undefined,
    fault: typeof fault === 'string' ? fault : undefined,
  };
}
