import { describe, expect, it } from 'vitest';
import type { NovaSimulator, NovaSimulatorOptions, SimulatedConnection } from '../src/sim/nova.ts';
import { connected, type NovaClient, silence, speech } from './support/nova-client.ts';
import { VirtualClock } from './support/virtual-clock.ts';

interface Place extends AsyncDisposable {
  readonly sim: NovaSimulator;
  readonly client: NovaClient;
  readonly connection: SimulatedConnection;
  readonly clock: VirtualClock;
}

/** A session in which the agent begins ten seconds of speech, all of which is sent in two and a half. */
async function speaking(options: NovaSimulatorOptions = {}): Promise<Place> {
  const clock = new VirtualClock();
  const place = await connected({
    clock,
    speedFactor: 4,
    respond: ({ index }) =>
      index === 0 ? { transcript: 'First one two. Second three four.', audioMs: 10_000 } : {},
    ...options,
  });
  const { client, connection } = place;
  const opened = connection.next(
    'contentStart',
    ({ body }) => body['type'] === 'AUDIO' && body['role'] === 'USER',
  );
  client.begin();
  await opened;
  connection.speak({ transcript: 'First one two. Second three four.', audioMs: 10_000 });
  clock.advance(0);
  return { ...place, clock };
}

/** Everything that was told after the interruption began. */
function afterwards(connection: SimulatedConnection): readonly string[] {
  const told = connection.sent.map(({ event }) => {
    const body = event['body'] as Readonly<Record<string, unknown>>;
    return [event.type, body['type'], body['stopReason'], body['content']]
      .filter((part) => part !== undefined)
      .join(' ');
  });
  const at = told.findIndex((line) => line.includes('interrupted'));
  return told.slice(at);
}

const MARK = 'textOutput { "interrupted" : true }';

describe('an interruption', () => {
  it('while audio is being sent closes it as interrupted and tells what was heard', async () => {
    await using place = await speaking({ speedFactor: 2 });
    place.clock.advance(1_800);
    expect(place.connection.sentAudioMs).toBeCloseTo(3_700, -2);
    expect(place.connection.isSpeaking).toBe(true);
    place.connection.callerStarts();
    expect(place.connection.isSpeaking).toBe(false);
    expect(afterwards(place.connection)).toEqual([
      MARK,
      'contentEnd TEXT INTERRUPTED',
      'contentEnd AUDIO INTERRUPTED',
      'contentStart TEXT',
      'textOutput First',
      'contentEnd TEXT INTERRUPTED',
      'usageEvent',
    ]);
    expect(place.connection.history).toEqual([
      { role: 'ASSISTANT', source: 'speech', text: 'First', heardMs: 1_800 },
    ]);
  });

  it('does not tell again what the FINAL text of a sentence has said', async () => {
    await using place = await speaking();
    place.clock.advance(1_800);
    place.connection.callerStarts();
    // The first sentence lasts 4.4 s and was sent after 1.1 s; its FINAL text said all of it.
    expect(place.connection.history).toEqual([
      { role: 'ASSISTANT', source: 'speech', text: 'First', heardMs: 1_800 },
    ]);
    expect(afterwards(place.connection)).toEqual([
      MARK,
      'contentEnd TEXT INTERRUPTED',
      'contentEnd AUDIO INTERRUPTED',
      'usageEvent',
    ]);
  });

  it('tells only what was heard when FINAL texts wait for that', async () => {
    await using place = await speaking({ finalTextAt: 'played' });
    place.clock.advance(6_500);
    expect(place.connection.sent.filter(({ event }) => isFinal(event))).toHaveLength(1);
    place.connection.callerStarts();
    expect(place.connection.history).toEqual([
      { role: 'ASSISTANT', source: 'speech', text: 'First one two. Second', heardMs: 6_500 },
    ]);
    expect(afterwards(place.connection)).toEqual([
      MARK,
      'contentEnd TEXT INTERRUPTED',
      'contentStart TEXT',
      'textOutput Second',
      'contentEnd TEXT INTERRUPTED',
    ]);
  });

  it('comes also when all audio has been sent and its content has ended', async () => {
    await using place = await speaking();
    place.clock.advance(3_000);
    const ended = place.connection.sent.filter(({ event }) => event.type === 'contentEnd').at(-1);
    expect(ended?.event['body']).toMatchObject({ stopReason: 'END_TURN' });
    place.connection.callerStarts();
    expect(afterwards(place.connection)).toEqual([MARK, 'contentEnd TEXT INTERRUPTED']);
    expect(place.connection.history[0]).toMatchObject({ heardMs: 3_000, text: 'First one' });
  });

  it('never comes for what was sent when the service does not count on playback', async () => {
    await using place = await speaking({ interruptsSent: false });
    place.clock.advance(3_000);
    place.connection.callerStarts();
    expect(place.connection.sent.at(-1)?.event.type).not.toBe('contentEnd');
    expect(place.connection.sent.some(({ event }) => JSON.stringify(event).includes('interrupted'))).toBe(
      false,
    );
  });

  it('does not come when the caller has heard everything', async () => {
    await using place = await speaking();
    place.clock.advance(10_100);
    expect(place.connection.isSpeaking).toBe(false);
    const before = place.connection.sent.length;
    place.connection.callerStarts();
    expect(place.connection.sent).toHaveLength(before);
    expect(place.connection.history).toEqual([
      { role: 'ASSISTANT', source: 'speech', text: 'First one two. Second three four.' },
    ]);
  });

  it('comes late when it is told to, and never after the turn', async () => {
    await using place = await speaking({ bargeInDelayMs: 400 });
    place.clock.advance(500);
    place.connection.callerStarts();
    place.clock.advance(395);
    expect(place.connection.isSpeaking).toBe(true);
    place.clock.advance(10);
    expect(place.connection.isSpeaking).toBe(false);
    place.clock.advance(1_000);
    place.connection.callerStops();
    expect(place.connection.speak({ transcript: 'Again.', audioMs: 5_000 })).toBe(false);
    place.clock.advance(100);
    expect(place.connection.speak({ transcript: 'Again.', audioMs: 5_000 })).toBe(true);
    place.clock.advance(100);
    place.connection.callerStarts();
    place.connection.callerStops();
    expect(afterwards(place.connection).filter((line) => line === MARK)).toHaveLength(2);
  });

  it('takes back an answer that has not begun, without a word', async () => {
    await using place = await speaking({ firstAudioMs: 250 });
    place.clock.advance(100);
    const before = place.connection.sent.length;
    place.connection.callerStarts();
    place.clock.advance(1_000);
    expect(place.connection.sent).toHaveLength(before);
  });

  it('brings late pieces of the audio when it is told to', async () => {
    await using place = await speaking({
      faults: [{ when: { after: 'sent:contentStart:AUDIO' }, do: 'late-deltas', count: 2 }],
    });
    place.clock.advance(500);
    place.connection.callerStarts();
    expect(afterwards(place.connection).map((line) => line.split(' ')[0])).toEqual([
      'textOutput',
      'contentEnd',
      'audioOutput',
      'audioOutput',
      'contentEnd',
      'usageEvent',
    ]);
  });

  it('is heard in the audio itself', async () => {
    await using place = await connected({
      speedFactor: 4,
      respond: ({ index }) =>
        index === 0 ? { transcript: 'Long speech.', audioMs: 60_000 } : { transcript: 'Yes?' },
    });
    const { client, connection } = place;
    client.begin();
    client.text('USER', 'Talk.', true);
    await client.next('audioOutput');
    client.say(Buffer.concat([silence(100), speech(400), silence(240)]));
    const mark = await client.next('textOutput', ({ content }) => String(content).includes('interrupted'));
    expect(JSON.parse(String(mark['content']))).toEqual({ interrupted: true });
    await client.next('textOutput', ({ content }) => content === 'Yes?');
    expect(connection.history.map(({ role }) => role)).toEqual(['USER', 'ASSISTANT', 'USER', 'ASSISTANT']);
    expect(connection.history[1]?.heardMs).toBeLessThan(10_000);
  });
});

function isFinal(event: Readonly<Record<string, unknown>>): boolean {
  return event['type'] === 'contentStart' && JSON.stringify(event['body']).includes('FINAL');
}
