import { afterAll, describe, expect, it } from 'vitest';
import { bytesPerMs, silenceByte } from '../src/audio/format.ts';
import { createTranscoder } from '../src/audio/transcode.ts';
import type { Clock } from '../src/clock.ts';
import type { ConnectRequest, HistoryItem, ProviderSession, ToolResult } from '../src/provider.ts';
import {
  BY_CHARACTERS,
  EARLIER_LEFT_OUT,
  fittingHistory,
  type HistoryRoom,
} from '../src/providers/common/history.ts';
import { openingMove } from '../src/providers/common/told.ts';
import { BY_TOKENS } from '../src/providers/openai-live/texts.ts';
import { LoopClock } from './support/loop-clock.ts';
import { ProviderLine, voiced } from './support/provider-line.ts';
import type { Answer, Peer, Script, Subject } from './support/provider-subjects.ts';
import { SUBJECTS } from './support/subjects.ts';

/** A conversation that another provider has begun is gone on with: the same sentences for all of them. */

/** Of all services and of all sessions with them, so that a busy machine is slow for both. */
const clock = new LoopClock();
afterAll(() => clock[Symbol.dispose]());

/** On a busy machine time is slow. */
const PATIENT = { timeout: 60_000 };

const ANSWER: Answer = { transcript: 'It is noon.', audioMs: 400 };
const OTHER: Answer = { transcript: 'Goodbye.', audioMs: 400 };
const LINE =
  'The call continues after a short technical interruption. Do not greet again and do not mention it.';

function said(role: 'user' | 'assistant' | 'system', text: string): HistoryItem {
  return { type: 'message', role, text };
}

function called(callId: string, output: string, args = '{"what":"bicycle"}'): HistoryItem {
  return { type: 'tool', callId, name: 'lookup', args, output };
}

const BEFORE: readonly HistoryItem[] = [
  said('assistant', 'Welcome to the workshop.'),
  said('user', 'I am calling about my bicycle.'),
  called('call_7f', '{"colour":"green"}'),
  said('assistant', 'The green one?'),
  said('user', 'Yes. When is it ready?'),
];
const UNANSWERED = [...BEFORE, said('system', LINE)];
const ANSWERED = [...BEFORE, said('assistant', 'Tomorrow.'), said('system', LINE)];

/** A session that takes a call over, the other end of it, and how often the model was made to answer. */
async function takenOver(subject: Subject, script: Script, over: Partial<ConnectRequest>) {
  let answers = 0;
  const stage = await subject.start({
    clock,
    ...script,
    answer: () => {
      answers += 1;
      return answers === 1 ? ANSWER : OTHER;
    },
  });
  const line = await ProviderLine.open(stage.provider, { clock, ...over });
  const peer = await stage.nextPeer();
  return {
    line,
    peer,
    session: line.session,
    get answers() {
      return answers;
    },
    async [Symbol.asyncDispose]() {
      await line.session.close('the test is over');
      await stage[Symbol.asyncDispose]();
    },
  };
}

/** All that the service was told, in order. */
function toldTo(peer: Peer): string {
  return JSON.stringify(peer.received);
}

/** Places of these texts in what the service was told; each has to be there. */
function placesOf(texts: readonly string[], peer: Peer): number[] {
  const all = toldTo(peer);
  return texts.map((text) => all.indexOf(JSON.stringify(text).slice(1, -1)));
}

/** All texts of a message, however deep. */
function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(textsIn);
}

/** What the caller said a while ago, in one piece, and the silence after it. */
function recorded(session: ProviderSession, speechMs: number, silenceMs: number): Uint8Array {
  const transcoder = createTranscoder({ encoding: 'pcm16', rate: 8000 }, session.input);
  const speech = Buffer.concat([transcoder.push(voiced(speechMs)).slice(), transcoder.flush()]);
  const silence = Buffer.alloc(silenceMs * bytesPerMs(session.input), silenceByte(session.input));
  return Buffer.concat([speech, silence]);
}

/** A line on which nobody says anything, in real time; to be disposed of. */
function hush(session: ProviderSession, time: Clock): Disposable {
  const frame = Buffer.alloc(20 * bytesPerMs(session.input), silenceByte(session.input));
  let cancel = (): void => undefined;
  const next = (): void => {
    session.sendAudio(frame);
    cancel = time.after(20, next);
  };
  next();
  return { [Symbol.dispose]: () => cancel() };
}

const RESULT: ToolResult = {
  output: '{"ready":"at noon"}',
  isError: false,
  respond: true,
  call: { name: 'lookup', args: '{"what":"the state of the repair"}' },
};

describe.concurrent.each(SUBJECTS)('$name takes a call over', PATIENT, (subject) => {
  const open = (over: Partial<ConnectRequest>, script: Script = {}) => takenOver(subject, script, over);
  const gap = { respond: false, history: UNANSWERED } as const;

  it('knows all of it in order, the line of the system last, and answers once when it is asked', async ({
    expect,
  }) => {
    await using on = await open(gap);
    on.session.sendText('Answer the caller now.', { role: 'system', respond: true });
    expect((await on.line.next('responseStarted')).asked).toBe(true);
    await on.line.untilSaid('assistant: It is noon.');
    const places = placesOf(
      [
        'Welcome to the workshop.',
        'about my bicycle',
        '{"colour":"green"}',
        'The green one?',
        'When is it ready?',
        LINE,
        'Answer the caller now.',
      ],
      on.peer,
    );
    expect(places).not.toContain(-1);
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(on.peer.complaints()).toEqual([]);
    expect(on.line.of('responseStarted')).toHaveLength(1);
    expect(on.answers).toBe(1);
  });

  it('says what it is given to say, once and as what was asked for, though the caller has spoken last', async ({
    expect,
  }) => {
    await using on = await open(gap);
    on.session.say('One moment please.');
    const { asked, responseId } = await on.line.next('responseStarted');
    expect(asked).toBe(true);
    expect(await on.line.next('responseDone')).toMatchObject({ responseId, status: 'completed' });
    expect(on.line.audioMs(responseId)).toBeGreaterThan(0);
    expect(on.line.of('responseStarted')).toHaveLength(1);
    expect(on.answers).toBe(1);
    expect(on.peer.complaints()).toEqual([]);
  });

  it.each([
    ['the agent has spoken last', ANSWERED],
    ['nothing was said', []],
  ])('speaks first where it is to, though %s', async (_when, history) => {
    await using on = await open({ respond: true, history });
    const { asked } = await on.line.next('responseStarted');
    await on.line.next('responseDone');
    on.session.say('Goodbye.');
    await on.line.untilSaid('assistant: Goodbye.');
    const found = { asked, answers: on.answers, complaints: on.peer.complaints() };
    expect(found).toEqual({ asked: true, answers: 2, complaints: [] });
  });

  it('is told the newest of 5,000 turns, that there were others, and the last line', async ({ expect }) => {
    const turns = Array.from({ length: 5_000 }, (_, i) =>
      said(i % 2 === 0 ? 'user' : 'assistant', `Turn ${i}, ${'said with many words '.repeat(8)}#${i}.`),
    );
    await using on = await open({ respond: false, history: [...turns, said('system', LINE)] });
    on.session.sendText('Go on.', { role: 'system', respond: true });
    await on.line.untilSaid('assistant: It is noon.');
    expect(placesOf(['Turn 4999,', '#4999.', 'Turn 4998,', LINE, EARLIER_LEFT_OUT], on.peer)).not.toContain(
      -1,
    );
    expect(placesOf(['Turn 0,', 'Turn 1000,'], on.peer)).toEqual([-1, -1]);
    expect(on.peer.complaints()).toEqual([]);
    expect(on.answers).toBe(1);
  });

  it('takes a result of 1 MB and turns that never end, cut between two characters', async ({ expect }) => {
    const long = '😀'.repeat(400_000);
    await using on = await open({
      respond: false,
      history: [
        said('user', `Before ${long} after.`),
        called('x', `{"found":"${long}"}`, `{"what":"${long}"}`),
        said('assistant', `${long} so?`),
        said('user', 'Yes.'),
        said('system', LINE),
      ],
    });
    on.session.sendText('Go on.', { role: 'system', respond: true });
    await on.line.untilSaid('assistant: It is noon.');
    expect(placesOf([' so?', 'Yes.', LINE], on.peer)).not.toContain(-1);
    expect(on.peer.complaints()).toEqual([]);
    const all = textsIn(on.peer.received);
    expect(all.filter((text) => /\p{Surrogate}/u.test(text))).toEqual([]);
    expect(all.join('').length).toBeLessThan(420_000);
  });

  it('hears what the caller said before it came, sent at once, as one turn, and answers it once', async ({
    expect,
  }) => {
    if (!subject.capabilities.catchUp) return;
    await using on = await open(gap, { heard: ['When is it ready?'], keepAudio: true });
    const all = recorded(on.session, 3_000, 800);
    expect(on.session.sendAudio(all)).toBe(true);
    {
      using _ = hush(on.session, clock);
      const { asked } = await on.line.next('responseStarted');
      expect(asked).toBe(false);
      await on.line.next('responseDone');
      on.session.say('Goodbye.');
      await on.line.untilSaid('assistant: Goodbye.');
    }
    expect(on.line.said).toEqual([
      'user: When is it ready?',
      'assistant: It is noon.',
      'assistant: Goodbye.',
    ]);
    expect(on.answers).toBe(2);
    expect(on.line.of('warning')).toEqual([]);
    expect(on.peer.complaints()).toEqual([]);
    const heard = Buffer.from(on.peer.receivedAudio());
    expect(heard.includes(all)).toBe(true);
  });

  it.each([
    'call_1~1',
    `"${'é😀\\" {}'.repeat(14)}"`.slice(0, 100),
    'call-0b7c52a4-9f44-4a7e-8d3e-51f0c3bb8d10-0',
  ])(
    'is told of a call that an earlier session has made (%s), with its result, and speaks of it once',
    async (callId) => {
      await using on = await open({ respond: false, history: ANSWERED });
      on.session.sendToolResult(callId, RESULT);
      const { asked } = await on.line.next('responseStarted');
      await on.line.next('responseDone');
      on.session.say('Goodbye.');
      await on.line.untilSaid('assistant: Goodbye.');
      const told = textsIn(on.peer.received).join('\n');
      const found = {
        asked,
        answers: on.answers,
        args: told.includes('the state of the repair'),
        output: told.includes('at noon'),
        calls: on.line.of('toolCall'),
        complaints: on.peer.complaints(),
        warnings: on.line.of('warning'),
      };
      expect(found).toEqual({
        asked: true,
        answers: 2,
        args: true,
        output: true,
        calls: [],
        complaints: [],
        warnings: [],
      });
    },
  );

  it('does not mind what was heard of another session, and sends nothing of it', async ({ expect }) => {
    await using on = await open(gap);
    on.session.interrupt([
      { itemId: 'item_of_another', playedMs: 300, receivedMs: 900 },
      { itemId: '', playedMs: 0, receivedMs: 0 },
      { itemId: 'item_1~0', playedMs: 0, receivedMs: 400 },
    ]);
    on.session.sendText('Answer the caller now.', { role: 'system', respond: true });
    await on.line.untilSaid('assistant: It is noon.');
    expect(toldTo(on.peer)).not.toContain('item_of_another');
    expect(toldTo(on.peer)).not.toContain('item_1~0');
    expect(on.peer.received.filter(({ type }) => /cancel|truncate|delete/.test(String(type)))).toEqual([]);
    expect(on.peer.complaints()).toEqual([]);
    expect(on.line.of('error')).toEqual([]);
  });

  it('charges for no audio when another one was faster', async ({ expect }) => {
    await using on = await open(gap);
    await on.session.close('another one was faster');
    await on.peer.closed;
    const charged = on.line
      .of('usage')
      .filter(
        ({ usage, seconds = 0 }) => usage.inputAudioTokens + usage.outputAudioTokens > 0 || seconds > 0,
      );
    expect(charged).toEqual([]);
    expect(on.peer.receivedAudioMs).toBe(0);
    expect(on.answers).toBe(0);
  });
});

describe('what fits of a conversation', () => {
  const room = (maxSize: number, more: Partial<HistoryRoom> = {}): HistoryRoom => ({
    maxItems: 100,
    maxSize,
    measure: BY_CHARACTERS,
    extraSize: 0,
    ...more,
  });
  const textOf = (item: HistoryItem | undefined): string =>
    item === undefined ? '' : item.type === 'message' ? item.text : item.output;
  const sizeOf = (items: readonly HistoryItem[], { measure, extraSize }: HistoryRoom): number =>
    items.reduce(
      (sum, item) =>
        sum +
        extraSize +
        textsIn(item.type === 'message' ? [item.text] : [item.name, item.args, item.output]).reduce(
          (all, text) => all + measure.sizeOf(text),
          0,
        ),
      0,
    );

  it('is all of it but the empty texts where there is room', () => {
    const history = [said('user', 'Hi'), said('assistant', '  \n'), called('a', ''), said('system', '')];
    expect(fittingHistory(history, room(1_000))).toEqual([history[0], history[2]]);
    expect(fittingHistory([], room(0))).toEqual([]);
  });

  it('is the newest items, whole, behind a note that others are left out', () => {
    const history = Array.from({ length: 20 }, (_, i) =>
      said(i % 2 === 0 ? 'user' : 'assistant', `${i}`.repeat(20)),
    );
    const found = fittingHistory(history, room(300));
    expect(found[0]).toEqual(said('system', EARLIER_LEFT_OUT));
    expect(found.slice(1)).toEqual(history.slice(-(found.length - 1)));
    expect(found.length).toBeGreaterThan(5);
    expect(sizeOf(found, room(300))).toBeLessThanOrEqual(300);
  });

  it('is never more items than there may be, the note among them', () => {
    const history = Array.from({ length: 200 }, (_, i) => said('user', `${i}`));
    const found = fittingHistory([...history, said('system', LINE)], room(10_000, { maxItems: 10 }));
    expect(found).toHaveLength(10);
    expect(textOf(found[0])).toBe(EARLIER_LEFT_OUT);
    expect(textOf(found[1])).toBe('192');
    expect(textOf(found.at(-1))).toBe(LINE);
  });

  it('has the end of what was said, and the beginning of notes and results', () => {
    const history = [
      said('user', `first ${'u'.repeat(4_000)} last`),
      called('a', `first ${'o'.repeat(4_000)} last`, `{"first":"${'a'.repeat(4_000)}"}`),
      said('system', `first ${'s'.repeat(4_000)} last`),
    ];
    const found = fittingHistory(history, room(2_000));
    expect(found).toHaveLength(3);
    const [user, tool, system] = found;
    expect(textOf(user)).toMatch(/^…u+ last$/);
    expect(textOf(tool)).toMatch(/^first o+…$/);
    expect(tool?.type === 'tool' && JSON.parse(tool.args)).toEqual({
      shortened: expect.stringMatching(/^\{"first":"a+$/),
    });
    expect(textOf(system)).toMatch(/^first s+…$/);
    expect(sizeOf(found, room(2_000))).toBeLessThanOrEqual(2_000);
  });

  it.each([
    ['characters', BY_CHARACTERS],
    ['tokens', BY_TOKENS],
  ])('keeps to its limit of %s, whatever was said', (_name, measure) => {
    let seed = 7;
    const random = (most: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return seed % most;
    };
    const letters = ['a', 'ü', '語', '😀', '"', '\\', ' '];
    for (let round = 0; round < 60; round += 1) {
      const history = Array.from({ length: random(40) }, (_, i) => {
        const text = (letters[random(letters.length)] ?? 'x').repeat(random(10 ** (1 + random(4))));
        if (random(4) === 0) return called(`${i}`, text, text);
        return said((['user', 'assistant', 'system'] as const)[random(3)] ?? 'user', text);
      });
      const limits = room(400 + random(4_000), { maxItems: 2 + random(30), measure, extraSize: random(12) });
      const found = fittingHistory([...history, said('system', LINE)], limits);
      expect(sizeOf(found, limits)).toBeLessThanOrEqual(limits.maxSize);
      expect(found.length).toBeLessThanOrEqual(limits.maxItems);
      expect(textOf(found.at(-1)).slice(0, 60)).toBe(LINE.slice(0, 60));
      expect(textsIn(found).filter((text) => /\p{Surrogate}/u.test(text))).toEqual([]);
    }
  });
});

describe('the opening move', () => {
  it.each([
    [BEFORE, undefined, 'answer'],
    [UNANSWERED, undefined, 'answer'],
    [ANSWERED, undefined, undefined],
    [[], undefined, undefined],
    [[...BEFORE, called('z', '1')], undefined, 'answer'],
    [[...BEFORE, said('assistant', ' ')], undefined, 'answer'],
    [UNANSWERED, false, undefined],
    [UNANSWERED, true, 'answer'],
    [ANSWERED, true, 'go on'],
    [[], true, 'go on'],
  ] as const)('of case %# is the right one', (history, respond, move) => {
    expect(openingMove({ history, respond })).toBe(move);
  });
});
