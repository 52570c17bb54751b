import { describe, expect, it } from 'vitest';
import { answer, NUMBER, speak, startService as start } from './support/agents-service.ts';
import { answering, hanging, hookReceiver, SECRET } from './support/hook-receiver.ts';
import { calls, says } from './support/scripted-model.ts';

/** The agents file changes while the service runs. */

const agents = (version: string, more = ''): string => `
variables: { version: ${version} }
agents:
  booking:
    instructions: "Version {{version}} of {{agent}}."
    greeting: "Hello from {{version}}."
    tools: [which]
    silence: false
tools: { handlers: [./handlers] }
numbers: [{ number: "${NUMBER}", agent: booking }]
${more}`;

/** A module with a function that says which version of it this is. */
const handler = (version: string): string => `
import { word } from './lib/word.js';
export const which = {
  definition: { name: 'which', description: 'Says its version.', parameters: { type: 'object', properties: {} } },
  timeoutMs: 1000,
  cancelOnInterrupt: false,
  fillerAfterMs: undefined,
  maxResultChars: 1000,
  redact: [],
  check: (args) => ({ ok: true, args }),
  run: () => ({ version: ${JSON.stringify(version)}, word }),
};
`;
const FILES = {
  'handlers/which.js': handler('one'),
  'handlers/lib/word.js': "export const word = 'first';\n",
};

/** The model asks the function, and says what it has heard. */
const ASK = [calls('which', {}), (turn: Parameters<typeof answer>[0]) => says(answer(turn))];

describe('a changed agents file', () => {
  it('is for new calls; those that are up keep their text and their functions', async () => {
    const on = await start({ agents: agents('one'), files: FILES, model: ASK });
    const old = await on.connected();
    on.folder.write('handlers/which.js', handler('two'));
    on.folder.write('handlers/lib/word.js', "export const word = 'second';\n");
    await on.rewrite(agents('two'));
    const young = await on.connected();
    await on.says('Hello from two.');
    await Promise.all([speak(old), speak(young)]);
    await on.event('transcript', (event) => event.callId === old.callId && event.text.includes('"one"'));
    await on.event('transcript', (event) => event.callId === young.callId && event.text.includes('"two"'));
    expect((await on.session(0)).session.instructions).toBe('Version one of booking.');
    expect((await on.session(1)).session.instructions).toBe('Version two of booking.');
    await Promise.all([old.hangUp(), young.hangUp()]);
  });

  it('that is broken is told once, and calls go on until it is repaired', async () => {
    const on = await start({ agents: agents('one'), files: FILES });
    const old = await on.connected();
    await on.rewrite(agents('two').replace('booking:', 'booking:\n    greting: Hm'), 'broken');
    const line = await on.logged('the agents file has changed and cannot be used');
    expect(line).toMatchObject({ level: 50 });
    expect(JSON.stringify(line)).toContain('did you mean \\"greeting\\"');
    const meanwhile = await on.connected();
    expect((await on.session(1)).session.instructions).toBe('Version one of booking.');
    await on.rewrite(agents('three'));
    const young = await on.connected();
    expect((await on.session(2)).session.instructions).toBe('Version three of booking.');
    expect(on.lines('the agents file has changed and cannot be used')).toHaveLength(1);
    await Promise.all([old.hangUp(), meanwhile.hangUp(), young.hangUp()]);
  });

  it('whose agents cannot work here is not used', async () => {
    const on = await start({ agents: agents('one'), files: FILES, env: { OPENAI_BASE_URL: '' }, model: [] });
    const file = agents('two').replace('silence: false', 'silence: false\n    providers: [nova]');
    await on.rewrite(file, 'broken');
    expect(on.bridge.agents).toEqual(['booking']);
    on.folder.write('handlers/which.js', 'export const which = 1 +;\n');
    await on.rewrite(agents('two'), 'broken');
    const [, second] = on.lines('the agents file has changed and cannot be used');
    expect(JSON.stringify(second)).toContain('which.js');
  });

  it('may take an agent away whose call is up', async () => {
    const on = await start({ agents: agents('one'), files: FILES, model: [says('I am still here.')] });
    const old = await on.connected();
    await on.rewrite(agents('two').replaceAll('booking', 'desk'));
    expect(on.bridge.agents).toEqual(['desk']);
    await speak(old);
    await on.says('I am still here.');
    expect(
      (await on.api('POST', '/calls', { from: NUMBER, to: '+15550100777', agent: 'booking' })).status,
    ).toBe(400);
    await old.hangUp();
  });

  it('has a say in whom a call is for that is being asked about', async () => {
    const hook = await hookReceiver(hanging);
    const webhooks = `webhooks: { start: { url: "${hook.url}", secret: "${SECRET}", timeoutMs: 4000, retries: 0 } }\n`;
    const on = await start({ agents: agents('one', webhooks), files: FILES });
    const changed = on.rewrite(agents('two', webhooks).replaceAll('booking', 'desk'));
    const call = on.dial();
    const asked = await hook.nth(1);
    await changed;
    answering(200, {})(asked);
    await call.streaming;
    expect((await on.session()).session.instructions).toBe('Version two of desk.');
    await call.hangUp();
  });
});

describe('fifty calls that are up', () => {
  const LIVE = 50;
  const SPEECH_MS = 20_000;

  it('do not notice that the file changes, is broken, and is repaired', { timeout: 120_000 }, async () => {
    const on = await start({
      agents: agents('one'),
      files: FILES,
      openai: { respond: () => ({ transcript: 'A long speech.', audioMs: SPEECH_MS }), speedFactor: 8 },
    });
    const live = Array.from({ length: LIVE }, () => on.dial());
    await Promise.all(live.map((call) => call.streaming));
    const spoken = (callId: string) =>
      on.event('transcript', (event) => event.callId === callId && event.role === 'assistant' && event.final);
    await Promise.all(live.map((call) => spoken(call.callId)));
    await Promise.all(live.map((call) => call.untilHeard(500)));
    expect(on.bridge.calls).toBe(LIVE);
    const before = on.events.length;
    const marks = live.map((call) => call.marks.length);

    await on.rewrite(agents('two'));
    await on.rewrite(agents('two', 'nonsense: 1\n'), 'broken');
    on.folder.write('handlers/which.js', handler('three'));
    await on.rewrite(agents('three'));
    await on.rewrite('agents: [\n', 'broken');
    await on.rewrite(agents('four'));

    // They have heard speech all the time, and nothing else has happened.
    expect(on.events.slice(before)).toEqual([]);
    for (const [index, call] of live.entries()) expect(call.marks.length).toBeGreaterThan(marks[index] ?? 0);
    const young = await on.connected();
    expect((await on.session(LIVE)).session.instructions).toBe('Version four of booking.');
    for (let index = 0; index < LIVE; index += 1) {
      const model = on.openai.connections[index];
      expect(model?.session.instructions).toBe('Version one of booking.');
      const updates = model?.received.filter(({ event }) => event.type === 'session.update');
      expect(updates).toHaveLength(1);
    }
    const reports = await Promise.all([...live, young].map((call) => call.hangUp()));
    for (const report of reports.slice(0, LIVE)) {
      expect(report).toMatchObject({ outcome: 'completed', endedBy: 'caller', underruns: 0 });
      expect(report.streams).toHaveLength(1);
      expect(report.events.filter(({ type }) => type === 'clear')).toEqual([]);
      expect([...report.warnings.keys()]).toEqual([]);
    }
    expect(on.log.filter(({ level }) => level >= 50)).toHaveLength(2);
    expect(on.bridge.calls).toBe(0);
  });
});
