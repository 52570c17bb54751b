import { expect, it } from 'vitest';
import { MULAW_8K } from '../src/audio/format.ts';
import type { ProviderCapabilities, ProviderEvent } from '../src/provider.ts';
import type { AudioRef, Line } from '../src/recording/format.ts';
import { ProviderFeed } from '../src/replay/provider-feed.ts';
import { ToolFeed } from '../src/replay/tool-feed.ts';
import type { ToolContext } from '../src/tools.ts';

const AUDIO = Uint8Array.from({ length: 160 }, (_, at) => at);

/** What a session of the recording tells that told these messages. */
async function told(...messages: readonly unknown[]): Promise<readonly ProviderEvent[]> {
  const source = {
    audio: ({ at, n }: AudioRef) => AUDIO.subarray(at, at + n),
    translate: (text: string) => text,
    until: () => undefined,
  };
  const feed = new ProviderFeed(source, []);
  const provider = feed.provider({
    name: 'own',
    level: 'session',
    model: undefined,
    wanted: undefined,
    capabilities: {} as ProviderCapabilities,
  });
  const events: ProviderEvent[] = [];
  const request = {} as Parameters<typeof provider.connect>[0];
  const session = provider.connect(request, (event) => events.push(event), new AbortController().signal);
  const ctl = { type: 'connected', input: MULAW_8K, output: MULAW_8K } as const;
  feed.feed({ t: 0, on: 'provider', dir: 'in', conn: 1, ctl });
  await session;
  for (const msg of messages) feed.feed({ t: 1, on: 'provider', dir: 'in', conn: 1, msg });
  return events;
}

it('plays speech of a session from its file, and from the message where no file took it', async () => {
  const audio = { event: 'audio', responseId: 'r', itemId: 'i' };
  const ref = { wav: 'provider', at: 0, n: 160 };
  const [kept, whole] = await told(
    { ...audio, bytes: ref },
    { ...audio, bytes: Buffer.from(AUDIO).toString('base64') },
  );
  expect(kept).toEqual({ type: 'audio', responseId: 'r', itemId: 'i', bytes: AUDIO });
  expect(whole?.type === 'audio' && new Uint8Array(whole.bytes)).toEqual(AUDIO);
});

it('tells the errors of a session as they were', async () => {
  const error = { code: 'PROVIDER_CLOSED', message: 'gone' };
  const [closed, over] = await told(
    { event: 'closed', expected: false, error },
    { event: 'closed', expected: true },
  );
  expect(closed).toMatchObject({
    type: 'closed',
    expected: false,
    error: { code: error.code, plainMessage: 'gone' },
  });
  expect(over).toEqual({ type: 'closed', expected: true, error: undefined });
});

it('does with a call what handlers can do, and nothing else that a recording may name', async () => {
  const does = (what: string, ...given: unknown[]): Line => {
    return { t: 1, on: 'tool', dir: 'in', msg: { id: 1, does: what, with: given } };
  };
  const run = { id: 1, run: 'f', toolCallId: 'c', args: {} };
  const feed = new ToolFeed([{ t: 0, on: 'tool', dir: 'out', msg: run }], 'exact');
  const done: unknown[] = [];
  const context = { sendDigits: async (digits: string) => void done.push(digits) } as unknown as ToolContext;
  void feed.run('f', 'c', {}, context);
  for (const line of [
    does('__defineGetter__', 'signal', 1),
    does('constructor'),
    does('toString'),
    does('sendDigits', '12#'),
  ]) {
    if (line.on === 'tool') expect(feed.feed(line.msg)).toBe(true);
  }
  expect(done).toEqual(['12#']);
  expect(Object.keys(context)).toEqual(['sendDigits']);
});

it('answers another agent by what was asked, in whatever order, and by the next result where nothing fits', async () => {
  const asked = (id: number, day: string): Line => {
    const run = { id, run: 'hours', toolCallId: `then_${id}`, args: { day, place: 'shop' } };
    return { t: 0, on: 'tool', dir: 'out', msg: run };
  };
  const feed = new ToolFeed([asked(1, 'Monday'), asked(2, 'Friday'), asked(3, 'Sunday')], 'by-arguments');
  const now = [{ place: 'shop', day: 'Friday' }, { day: 'Tuesday' }, { day: 'Sunday', place: 'shop' }, {}];
  const answers = now.map((args, at) => feed.run('hours', `now_${at}`, args, undefined).catch(() => 'none'));
  for (const id of [1, 2, 3]) feed.feed({ id, returned: `result ${id}`, done: true });
  expect(await Promise.all(answers)).toEqual(['result 2', 'result 1', 'result 3', 'none']);
  expect(feed.unknown).toEqual(['hours']);
});
