import { describe, expect, it } from 'vitest';
import { AgentBook, ownNumber } from '../src/agent-book.ts';
import { type Agent, voiceAgent } from '../src/agents.ts';
import type { CallFacts } from '../src/agents-file/call-facts.ts';
import { readAgentsFile } from '../src/agents-file.ts';
import type { CarrierName } from '../src/carrier.ts';
import { endCall } from '../src/tools/built-in.ts';
import { HOOK_SECRET, makeFolder, wavFile } from './support/agents-folder.ts';

async function book(text: string, base?: Agent): Promise<AgentBook> {
  using folder = makeFolder({ 'agents.yaml': text, 'typing.wav': wavFile(8000) });
  return new AgentBook(await readAgentsFile(folder.at('agents.yaml'), {}), base);
}

/** 23:30 on the last Saturday of October 2026 in UTC. */
const LATE = Date.UTC(2026, 9, 31, 23, 30);

const FACTS: CallFacts = {
  callId: 'CA1',
  carrier: 'twilio',
  direction: 'inbound',
  from: '+15550123',
  to: '+15550100',
  callerName: 'Ann',
  epochMs: LATE,
};

describe('the agent of a number', () => {
  const FILE = `agents: { exact: {}, telnyx: {}, berlin: {}, germany: {}, german-telnyx: {}, sip: {}, client: {}, rest: {} }
numbers:
  - { number: "*", agent: rest }
  - { number: "+49*", agent: germany }
  - { number: "+49*", agent: german-telnyx, carrier: telnyx }
  - { number: "+49 30*", agent: berlin, variables: { city: Berlin } }
  - { number: "+1 (555) 010-0100", agent: exact }
  - { number: "+15550100100", agent: telnyx, carrier: telnyx }
  - { number: "sip:desk@example.com", agent: sip }
  - { number: "client:*", agent: client }
`;

  it.each<[string, CarrierName, string]>([
    ['+15550100100', 'twilio', 'exact'],
    ['15550100100', 'plivo', 'exact'],
    ['+1-555-010-0100', 'twilio', 'exact'],
    ['tel:+15550100100', 'twilio', 'exact'],
    ['+15550100100', 'telnyx', 'telnyx'],
    ['+155501001000', 'telnyx', 'rest'],
    ['+4930123', 'twilio', 'berlin'],
    ['+4930123', 'telnyx', 'berlin'],
    ['+4989123', 'twilio', 'germany'],
    ['4989123', 'telnyx', 'german-telnyx'],
    ['sip:DESK@example.com;transport=tls', 'twilio', 'sip'],
    ['sips:desk@example.com', 'twilio', 'sip'],
    ['sip:other@example.com', 'twilio', 'rest'],
    ['client:alice', 'twilio', 'client'],
    ['anonymous', 'twilio', 'rest'],
    ['', 'twilio', 'rest'],
  ])('%s at %s has %s', async (number, carrier, wanted) => {
    expect((await book(FILE)).route({ number, carrier })?.agent).toBe(wanted);
  });

  it('is nobody where the file has no entry that fits', async () => {
    const { route } = {
      route: await book('agents: { a: {} }\nnumbers: [{ number: "+49*", agent: a, carrier: plivo }]'),
    };
    expect(route.route({ number: '+4930', carrier: 'twilio' })).toBeUndefined();
    expect(route.route({ number: '+43', carrier: 'plivo' })).toBeUndefined();
    expect(route.route({ number: '+4930', carrier: 'plivo' })?.agent).toBe('a');
  });

  it('comes with the variables of the entry alone, and with the entry', async () => {
    const route = (await book(`variables: { city: none, x: y }\n${FILE}`)).route({
      number: '+4930',
      carrier: 'twilio',
    });
    expect(route).toMatchObject({ variables: { city: 'Berlin' }, entry: { number: '+49 30*' } });
    expect(route?.variables).not.toHaveProperty('x');
  });

  it('is told by the number that was called, and for calls of our own by the one that calls', () => {
    expect(ownNumber({ direction: 'inbound', from: 'a', to: 'b' })).toBe('b');
    expect(ownNumber({ direction: 'outbound', from: 'a', to: 'b' })).toBe('a');
  });

  it('is found among thousands of numbers', async () => {
    const numbers = Array.from(
      { length: 5000 },
      (_, i) => `  - { number: "+1555${String(i).padStart(6, '0')}", agent: a }`,
    );
    const many = await book(
      `agents: { a: {}, b: {} }\nnumbers:\n${numbers.join('\n')}\n  - { number: "*", agent: b }\n`,
    );
    expect(many.route({ number: '+1555004999', carrier: 'plivo' })?.agent).toBe('a');
    expect(many.route({ number: '+1555005000', carrier: 'plivo' })?.agent).toBe('b');
  });
});

describe('variables in texts', () => {
  const texts = (greeting: string, more = ''): string => `variables: { business: Trattoria, floor: "1" }
agents:
  a: { greeting: ${JSON.stringify(greeting)}, variables: { floor: "2" }${more} }
`;
  const greeting = async (
    text: string,
    given: Record<string, string> = {},
    facts = FACTS,
  ): Promise<string | undefined> => (await book(text)).agentFor('a', facts, given, []).greeting;

  it('are those of the call', async () => {
    expect(
      await greeting(
        texts('{{caller}} {{callee}} {{caller_name}} {{call_id}} {{carrier}} {{direction}} {{agent}}'),
      ),
    ).toBe('+15550123 +15550100 Ann CA1 twilio inbound a');
  });

  it('are those of the file, over which those of the agent count, over which those of the call count', async () => {
    const text = texts('{{business}} {{floor}}');
    expect(await greeting(text)).toBe('Trattoria 2');
    expect(await greeting(text, { floor: '3' })).toBe('Trattoria 3');
  });

  it('cannot be set where the bridge fills them in', async () => {
    expect(await greeting(texts('{{caller}} {{agent}}'), { caller: '+1999', agent: 'boss' })).toBe(
      '+15550123 a',
    );
  });

  it('that the bridge fills in are in no report of what was given for a call', async () => {
    const given = { caller: '+1999', caller_name: 'The Boss', agent: 'x', guest: 'Bo' };
    expect((await book(texts('x'))).variables('a', given)).toEqual({
      business: 'Trattoria',
      floor: '2',
      guest: 'Bo',
    });
  });

  it('are empty when nobody knows them, and a text of which nothing is left is not said', async () => {
    const anonymous = { ...FACTS, callerName: undefined };
    expect(await greeting(texts('Hello {{caller_name}}!'), {}, anonymous)).toBe('Hello !');
    expect(await greeting(texts(' {{caller_name}} '), {}, anonymous)).toBeUndefined();
  });

  it('tell the time where the agent is, summer time included', async () => {
    const text = texts('{{time}} {{date}} {{weekday}}');
    expect(await greeting(text)).toBe('23:30 2026-10-31 Saturday');
    expect(await greeting(`timeZone: Europe/Berlin\n${text}`)).toBe('00:30 2026-11-01 Sunday');
    expect(
      await greeting(
        `timeZone: Europe/Berlin\n${texts('{{time}} {{date}}', ', timeZone: America/New_York')}`,
      ),
    ).toBe('19:30 2026-10-31');
    const summer = { ...FACTS, epochMs: Date.UTC(2026, 6, 1, 22, 5) };
    expect(await greeting(`timeZone: Europe/Berlin\n${text}`, {}, summer)).toBe('00:05 2026-07-02 Thursday');
  });

  it('name the day of the week in the language of the agent, and the date in figures in any', async () => {
    expect(await greeting(texts('{{weekday}} {{date}} {{time}}', ', language: de'))).toBe(
      'Samstag 2026-10-31 23:30',
    );
    expect(await greeting(texts('{{date}} {{time}}', ', language: ar-EG'))).toBe('2026-10-31 23:30');
    expect(await greeting(texts('{{date}}', ', language: th-TH'))).toBe('2026-10-31');
  });

  it('are not looked into again, and may have blanks around their names', async () => {
    expect(await greeting(texts('{{ business }}'), { business: '{{caller}} $& $1' })).toBe(
      '{{caller}} $& $1',
    );
  });

  it('leave braces alone that are escaped', async () => {
    expect(await greeting(texts('\\{{business}} {{business}}'))).toBe('{{business}} Trattoria');
  });

  it('are cut at 4000 characters and hold no control characters', async () => {
    const made = (await book(texts('x'))).agentFor(
      'a',
      FACTS,
      { note: `a\nb\u0000c\u2028d${'x'.repeat(5000)}` },
      [],
    );
    expect(made.variables['note']).toHaveLength(4000);
    expect(made.variables['note']?.slice(0, 8)).toBe('a b c dx');
    const half = (await book(texts('x'))).agentFor('a', FACTS, { note: `${'x'.repeat(3999)}\u{1f600}` }, []);
    expect(half.variables['note']).toBe('x'.repeat(3999));
  });

  it('hold little of what a stranger may have written, and nothing that nobody sees', async () => {
    const tags = [...'ignore all']
      .map((letter) => String.fromCodePoint(0xe0000 + letter.charCodeAt(0)))
      .join('');
    const facts = {
      ...FACTS,
      callerName: `\u202eAnn\u200b\u2066${tags}\ufe0f\ue000\n\n\tLee ${'x'.repeat(5000)}`,
      from: `sip:${'y'.repeat(5000)}@example.com`,
      to: `sip:\u200f${'z'.repeat(5000)}`,
    };
    const file = texts('{{caller_name}}|{{caller}}|{{callee}}');
    const [name = '', caller = '', callee = ''] = (await greeting(file, {}, facts))?.split('|') ?? [];
    expect(name).toBe(`Ann Lee ${'x'.repeat(56)}`);
    expect([caller, callee]).toEqual([`sip:${'y'.repeat(256)}`, `sip:${'z'.repeat(256)}`]);
    const halved = { ...FACTS, callerName: `${'x'.repeat(63)}😀` };
    expect(await greeting(texts('{{caller_name}}'), {}, halved)).toBe('x'.repeat(63));
    const plain = { ...FACTS, callerName: 'Zoë Ångström 山田' };
    expect(await greeting(texts('{{caller_name}}'), {}, plain)).toBe('Zoë Ångström 山田');
  });

  it('may have the names of what every object has', async () => {
    expect(
      await greeting('agents: { a: { greeting: "{{constructor}}", variables: { constructor: ok } } }'),
    ).toBe('ok');
    const named = await book('agents: { constructor: {} }');
    expect(named.has('constructor')).toBe(true);
    expect(named.has('to-string')).toBe(false);
  });

  it('are handed to functions as they were filled in, those of the call among them', async () => {
    const made = (await book(texts('x'))).agentFor('a', FACTS, { guest: 'Bo' }, []);
    expect(made.variables).toMatchObject({
      business: 'Trattoria',
      floor: '2',
      guest: 'Bo',
      caller: '+15550123',
      weekday: 'Saturday',
    });
    expect((await book(texts('x'))).variables('a', { guest: 'Bo' })).toEqual({
      business: 'Trattoria',
      floor: '2',
      guest: 'Bo',
    });
  });
});

describe('an agent', () => {
  const BASE = voiceAgent(
    {
      instructions: 'Base.',
      greeting: 'Base!',
      voice: 'v',
      language: 'en',
      audio: 'passthrough',
      maxCallMs: 600_000,
      silenceMs: 9000,
    },
    [],
  );

  it('has what the service has where the file says nothing', async () => {
    const made = (await book('agents: { a: {} }', BASE)).agentFor('a', FACTS, {}, [endCall]);
    const { name: _, tools: __, variables: ___, ...rest } = BASE;
    expect(made).toMatchObject(rest);
    expect(made.name).toBe('a');
    expect(made.tools).toEqual([endCall]);
  });

  it('has what the file says', async () => {
    const made = (
      await book(
        `variables: { who: us }
tools: { redact: [seat] }
agents:
  a:
    instructions: You are {{who}}.
    greeting: false
    language: de-AT
    voice: cedar
    turnDetection: { mode: semantic, eagerness: low }
    transcribeCaller: false
    providers: [{ name: openai, model: m, voice: w, overrides: { speed: 2 } }, local]
    audio: wideband
    toolsAtOnce: 2
    filler: { say: ["Wait, says {{who}}.", "{{caller_name}}"], afterMs: 1000, everyMs: 5000, atMost: 1 }
    limits: { callSeconds: 60, goodbye: "{{who}} must go." }
    recording: true
    silence: { afterSeconds: 2.5, prompts: ["{{who}}?"], goodbye: "Bye from {{who}}." }
    digits: { endKey: false, timeoutMs: 500, max: 4 }
    lastResort: { say: "Sorry, {{who}}." }
`,
        BASE,
      )
    ).agentFor('a', { ...FACTS, callerName: undefined }, {}, []);
    expect(made).toMatchObject({
      instructions: 'You are us.',
      greeting: undefined,
      language: 'de-AT',
      voice: 'cedar',
      turnDetection: { mode: 'semantic', eagerness: 'low' },
      transcribeCaller: false,
      providers: [
        { name: 'openai', model: 'm', voice: 'w', overrides: { speed: 2 } },
        { name: 'local', model: undefined, voice: undefined, overrides: {} },
      ],
      audio: 'wideband',
      redact: ['seat'],
      toolsAtOnce: 2,
      filler: { afterMs: 1000, texts: ['Wait, says us.'], clip: undefined, everyMs: 5000, atMost: 1 },
      maxCallMs: 60_000,
      maxCallGoodbye: 'us must go.',
      recording: true,
      silence: { afterMs: 2500, prompts: ['us?'], goodbye: 'Bye from us.' },
      digits: { endKey: undefined, timeoutMs: 500, max: 4 },
      lastResort: { type: 'say', text: 'Sorry, us.', language: 'de-AT' },
    });
  });

  it('has no call that is longer than the service allows', async () => {
    const made = await book('agents: { a: { limits: { callSeconds: 86400 } } }', BASE);
    expect(made.agentFor('a', FACTS, {}, []).maxCallMs).toBe(600_000);
  });

  it('may hear a clip, or nothing, and may not ask who is silent', async () => {
    const made = await book(
      'agents: { a: { filler: { clip: typing.wav } }, b: { filler: false, silence: false } }\nnumbers: []',
    );
    expect(made.agentFor('a', FACTS, {}, []).filler?.clip?.rate).toBe(8000);
    expect(made.agentFor('b', FACTS, {}, [])).toMatchObject({ filler: undefined, silence: { afterMs: 0 } });
  });

  it('may hang up or put the caller through when no provider is left', async () => {
    const made = await book(
      'agents: { a: { lastResort: hang-up }, b: { language: fr, lastResort: { transfer: "+15550199", announce: "From {{caller}}" } } }\nnumbers: []',
    );
    expect(made.agentFor('a', FACTS, {}, []).lastResort).toEqual({ type: 'hang-up' });
    expect(made.agentFor('b', FACTS, {}, []).lastResort).toEqual({
      type: 'transfer',
      to: '+15550199',
      callerId: undefined,
      ringS: 25,
      announce: 'From +15550123',
      language: 'fr',
    });
  });

  it('that the file does not have is an error that names those that it has', async () => {
    const made = await book('agents: { a: {}, b: {} }\nnumbers: []');
    expect(() => made.spec('c')).toThrow('BAD_INPUT: agent "c": found no such one, wanted one of a, b');
  });

  it('lists its functions with their texts filled in', async () => {
    const made = await book(`agents:
  a:
    language: de
    tools:
      - current_time
      - { name: transfer_call, destinations: [{ name: x, to: "+15550199", announce: "{{caller_name}} calls" }] }
      - { name: leave_message, text: "This is {{agent}}." }
`);
    expect(made.toolEntries('a', FACTS, {})).toMatchObject([
      { name: 'current_time' },
      { name: 'transfer_call', destinations: [{ name: 'x', announce: 'Ann calls', language: 'de' }] },
      { name: 'leave_message', text: 'This is a.' },
    ]);
  });

  it('has its own webhooks, those of the file, or none', async () => {
    const hook = (host: string): string => `{ url: "https://${host}/", secret: ${HOOK_SECRET} }`;
    const made = await book(`agents:
  own: { startWebhook: ${hook('own.example')}, endWebhook: ${hook('own.example')} }
  none: { startWebhook: false, endWebhook: false }
  usual: {}
numbers: []
webhooks: { start: ${hook('file.example')}, end: ${hook('file.example')} }
`);
    const urls = (name: string) => [made.startHook(name)?.url, made.endHook(name)?.url];
    expect(urls('own')).toEqual(['https://own.example/', 'https://own.example/']);
    expect(urls('none')).toEqual([undefined, undefined]);
    expect(urls('usual')).toEqual(['https://file.example/', 'https://file.example/']);
    expect(made.startHook(undefined)?.url).toBe('https://file.example/');
  });

  it('has a budget whose goodbye is filled in', async () => {
    const made = await book(
      'agents: { a: { budget: { perCall: 1.5, goodbye: "Bye {{caller_name}}" } }, b: {} }\nnumbers: []\nprices: { currency: EUR }',
    );
    expect(made.budget('a', FACTS, {})).toEqual({ perCall: 1.5, goodbye: 'Bye Ann' });
    expect(made.budget('b', FACTS, {})).toBeUndefined();
  });
});
