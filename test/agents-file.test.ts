import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { mistakesOf } from '../src/agents-file/mistakes.ts';
import { type AgentsFile, type AgentsFileOptions, readAgentsFile } from '../src/agents-file.ts';
import type { Env } from '../src/config.ts';
import { BridgeError } from '../src/errors.ts';
import { HOOK_SECRET, handlerModule, makeFolder, wavFile } from './support/agents-folder.ts';

const PROVIDERS = [
  { name: 'openai', lacks: undefined },
  { name: 'local', lacks: undefined },
];

const OTHER_SECRET = `whsec_${Buffer.alloc(24, 5).toString('base64')}`;

type Files = Readonly<Record<string, string | Uint8Array>>;

interface Case {
  readonly env?: Env;
  readonly files?: Files;
  readonly options?: AgentsFileOptions;
}

async function read(
  text: string | Uint8Array,
  { env = {}, files = {}, options = {} }: Case = {},
): Promise<AgentsFile> {
  using folder = makeFolder({ ...files, 'agents.yaml': text });
  return await readAgentsFile(folder.at('agents.yaml'), env, { providers: PROVIDERS, ...options });
}

/** The mistakes of a file, each as `line:column path: text`. */
async function mistakes(text: string | Uint8Array, given: Case = {}): Promise<string[]> {
  const error = await read(text, given).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return (mistakesOf(error)?.mistakes ?? []).map(
    (one) => `${one.line}:${one.column} ${one.path === '' ? '' : `${one.path}: `}${one.text}`,
  );
}

/** An agents file of one agent with these lines. */
function agent(...lines: string[]): string {
  return ['agents:', '  a:', ...lines.map((line) => `    ${line}`), ''].join('\n');
}

describe('an agents file that is good', () => {
  it('needs no more than the name of an agent, which then has all calls', async () => {
    const file = await read('agents: { a: {} }');
    expect([...file.agents.keys()]).toEqual(['a']);
    expect(file.numbers).toEqual([{ number: '*', agent: 'a', variables: {} }]);
    expect(file.timeZone).toBe('UTC');
    expect(file.agents.get('a')?.tools).toEqual([
      { type: 'built-in', name: 'end_call' },
      { type: 'built-in', name: 'current_time' },
    ]);
  });

  it('may be JSON', async () => {
    const file = await read(
      JSON.stringify({ agents: { a: { greeting: 'Hi' } }, numbers: [{ number: '*', agent: 'a' }] }),
    );
    expect(file.agents.get('a')?.greeting).toBe('Hi');
  });

  it('may share settings by anchors, aliases and merge keys', async () => {
    const file = await read(`agents:
  a: &a { voice: marin, tools: &tools [end_call] }
  b: { <<: *a, greeting: false, tools: *tools }
numbers: [{ number: "*", agent: b }]
`);
    expect(file.agents.get('b')).toMatchObject({ voice: 'marin', greeting: false });
  });

  it('may name the schema for editors, and begin with a byte order mark', async () => {
    const file = await read(`\ufeff$schema: ./agents.schema.json\nagents: { a: {} }`);
    expect(file.agents.size).toBe(1);
  });

  it('takes instructions from a file beside it', async () => {
    const file = await read(agent('instructions: { file: prompts/a.md }'), {
      files: { 'prompts/a.md': 'You are {{agent}}.' },
    });
    expect(file.agents.get('a')?.instructions).toBe('You are {{agent}}.');
  });

  it.each([
    [8000, 8000],
    [16_000, 16_000],
    [24_000, 24_000],
    [44_100, 24_000],
  ])('has a clip of %i Hz as one of %i Hz', async (rate, wanted) => {
    const file = await read(agent('filler: { clip: typing.wav }'), {
      files: { 'typing.wav': wavFile(rate, 2) },
    });
    const { filler } = file.agents.get('a') ?? {};
    expect(filler).toMatchObject({ clip: { rate: wanted } });
    const bytes = typeof filler === 'object' ? filler.clip?.pcm.length : undefined;
    // Half a second of one channel.
    expect(bytes).toBe(wanted);
  });

  it('makes of every entry of tools what is meant', async () => {
    const file = await read(
      `agents:
  a:
    tools:
      - current_time
      - name: transfer_call
        destinations: [{ name: the boss, to: "+15550199", description: for complaints }]
      - { name: send_digits }
      - collect_digits
      - { name: leave_message, text: Bye }
      - mine
      - crm/*
      - crm/find_customer
tools: { mcp: { crm: { command: node } } }
`,
      { options: { toolNames: ['mine'] } },
    );
    expect(file.agents.get('a')?.tools).toEqual([
      { type: 'built-in', name: 'current_time' },
      {
        type: 'built-in',
        name: 'transfer_call',
        destinations: [
          {
            name: 'the boss',
            to: '+15550199',
            description: 'for complaints',
            announce: undefined,
            callerId: undefined,
            ringS: 25,
            language: undefined,
          },
        ],
      },
      { type: 'built-in', name: 'send_digits' },
      {
        type: 'built-in',
        name: 'collect_digits',
        wish: { max: 32, endKey: '#', firstMs: 10_000, nextMs: 4000 },
      },
      { type: 'built-in', name: 'leave_message', text: 'Bye' },
      { type: 'named', name: 'mine' },
      { type: 'mcp', server: 'crm', pattern: '*' },
      { type: 'mcp', server: 'crm', pattern: 'find_customer' },
    ]);
  });

  it('loads the functions of its modules and lets agents list them', async () => {
    const file = await read(`${agent('tools: [book_table]')}tools: { handlers: [handlers] }`, {
      files: { 'handlers/book.mjs': handlerModule('book_table') },
    });
    expect(file.tools.handlers.map(({ definition }) => definition.name)).toEqual(['book_table']);
    expect(file.sources.map(({ path }) => path.replace(/^.*\/patchcord-agents-[^/]+\//, ''))).toEqual([
      'agents.yaml',
      'handlers',
      'handlers/book.mjs',
    ]);
  });

  it.each([
    ['true', { by: 'carrier' }],
    ['false', { by: 'off' }],
    ['off', { by: 'off' }],
    ['bridge', { by: 'bridge' }],
    ['both', { by: 'both' }],
    ['{}', { by: 'bridge' }],
    [
      '{ by: both, redact: { numbers: true, fields: [pin], speech: caller } }',
      {
        by: 'both',
        redact: { numbers: true, fields: ['pin'], speech: 'caller', words: false, keys: false },
      },
    ],
  ])('says by `recording: %s` who records, and what is taken out', async (text, wanted) => {
    const file = await read(agent(`recording: ${text}`));
    expect(file.agents.get('a')?.recording).toEqual({ redact: undefined, ...wanted });
  });

  it('has variables that are numbers or true or false as text', async () => {
    const file = await read('variables: { tables: 12, open: true }\nagents: { a: {} }');
    expect(file.variables).toEqual({ tables: '12', open: 'true' });
  });
});

describe('variables of the environment', () => {
  const FILE = `agents:
  a: { endWebhook: { url: "https://\${HOST}/end", secret: "\${SECRET}" }, greeting: "\${HOST} stays" }
webhooks:
  end: { url: "https://example.com/$\${HOST}", secret: "\${SECRET}" }
`;

  it('are filled in below tools, webhooks and the webhooks of agents, and nowhere else', async () => {
    const file = await read(FILE, { env: { HOST: 'example.com', SECRET: HOOK_SECRET } });
    expect(file.agents.get('a')).toMatchObject({
      greeting: `\${HOST} stays`,
      endWebhook: { url: 'https://example.com/end', secret: HOOK_SECRET },
    });

    expect(file.webhooks.end?.url).toBe(`https://example.com/\${HOST}`);
  });

  it('that are missing or empty are named, once for each use, and nothing else is said of the value', async () => {
    expect(await mistakes(FILE, { env: { SECRET: '' } })).toEqual([
      `2:36 agents.a.endWebhook.url: found nothing in the environment for \${HOST}, wanted a value`,
      `2:59 agents.a.endWebhook.secret: found nothing in the environment for \${SECRET}, wanted a value`,
      `4:56 webhooks.end.secret: found nothing in the environment for \${SECRET}, wanted a value`,
    ]);
  });
});

describe('a file that cannot be read at all', () => {
  it.each<[string, string | Uint8Array, RegExp]>([
    ['is empty', '', /^1:1 found an empty file, wanted agents$/],
    ['holds comments alone', '# nothing\n', /^1:1 found an empty file, wanted agents$/],
    ['is a list', '- a\n', /^1:1 found a list of 1, wanted an object$/],
    ['is text', 'hello', /^1:1 found "hello", wanted an object$/],
    ['is no YAML', 'agents:\n  a: [1,\n', /^3:1 found text that is no YAML \(.+\), wanted YAML or JSON$/],
    ['has a tab before a key', 'agents:\n\ta: {}\n', /^2:1 found a tab, wanted blanks before a key$/],
    [
      'has a key twice',
      'agents:\n  a: {}\n  a: {}\n',
      /^3:3 found a key that was there before in the same place, wanted each key once$/,
    ],
    [
      'has two documents',
      'agents: { a: {} }\n---\nagents: {}\n',
      /^2:1 found a second document \(---\), wanted one$/,
    ],
    [
      'is no UTF-8',
      new Uint8Array([0x61, 0x3a, 0x20, 0xff, 0xfe]),
      /^1:1 found a file that is no UTF-8, wanted YAML/,
    ],
    [
      'is too large',
      `# ${'x'.repeat(256 * 1024)}`,
      /^1:1 found a file of 262146 bytes, wanted YAML or JSON of at most 262144 bytes$/,
    ],
    ['has an alias of nothing', 'agents: *nobody\n', /^1:9 found text that is no YAML|^1:1 found aliases/],
  ])('%s', async (_, text, wanted) => {
    const found = await mistakes(text);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(wanted);
  });

  it.each([
    ['an anchor that holds itself', 'agents: &a { a: *a }'],
    ['one below webhooks', 'agents: { a: {} }\nwebhooks: &a { end: *a }'],
    ['one that holds itself often', `agents: &a [${Array(30).fill('*a').join(', ')}]`],
    ['one by a merge key', 'webhooks: &a { end: &b { more: { <<: *a, x: *b } } }\nagents: *a'],
    ['levels without end', `agents: { a: {} }\nwebhooks: ${'{a: '.repeat(200)}1${'}'.repeat(200)}`],
  ])('has %s', async (_, text) => {
    const found = await mistakes(text);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(
      /^1:1 found values within values without end|^1:1 found aliases|stands for no data/,
    );
  });

  it('uses aliases to grow without end', async () => {
    const rows = Array.from({ length: 9 }, (_, i) => {
      const of = i === 0 ? '"x"' : `*l${i - 1}`;
      return `l${i}: &l${i} [${Array(9).fill(of).join(', ')}]`;
    });
    expect(await mistakes(rows.join('\n'))).toEqual([
      '1:1 found aliases (*name) that cannot be followed, wanted at most 100, each of an anchor (&name) before it',
    ]);
  });

  it('is not there, or is a folder', async () => {
    using folder = makeFolder({ 'sub/agents.yaml': 'agents: { a: {} }' });
    await expect(readAgentsFile(folder.at('nothing.yaml'), {})).rejects.toThrow(
      `${folder.at('nothing.yaml')}:1:1 found no such file, wanted YAML or JSON of at most 262144 bytes`,
    );
    await expect(readAgentsFile(folder.at('sub'), {})).rejects.toThrow(':1:1 found a folder, wanted YAML');
  });

  it('is a pipe to which nobody writes, or names one', async () => {
    using folder = makeFolder({
      'agents.yaml': agent('instructions: { file: pipe }', 'filler: { clip: pipe }'),
    });
    expect(spawnSync('mkfifo', [folder.at('pipe')]).status).toBe(0);
    await expect(readAgentsFile(folder.at('pipe'), {})).rejects.toThrow(
      ':1:1 found something that is no file',
    );
    const error: unknown = await readAgentsFile(folder.at('agents.yaml'), {}).catch(
      (thrown: unknown) => thrown,
    );
    expect(mistakesOf(error)?.mistakes.map(({ text }) => text)).toEqual([
      'found something that is no file at "pipe", wanted text of 1 to 100000 characters',
      'found something that is no file at "pipe", wanted a WAV file of at most a minute',
    ]);
  });
});

describe('the error of a broken file', () => {
  it.each([
    ['agents: { a: { audio: loud } }', '1 mistake', 1],
    ['agents: { a: { audio: loud, voice: 5 } }', '2 mistakes', 2],
  ])('counts its mistakes and has a line for each: %s', async (text, words, count) => {
    const error = await read(text).catch((thrown: unknown) => thrown);
    const found = mistakesOf(error);
    expect(found?.message).toBe(words);
    expect(found?.lines).toHaveLength(count);
    expect(error instanceof BridgeError && error.message).toBe(`BAD_CONFIG: ${found?.lines.join('\n')}`);
  });
});

describe('one mistake', () => {
  it.each<[string, string, string | readonly string[]]>([
    [
      'a word that is none of a few',
      agent('audio: widebnad'),
      '3:12 agents.a.audio: found "widebnad", wanted "wideband" or "passthrough"',
    ],
    [
      'an unknown key',
      agent('greting: Hi'),
      '3:5 agents.a.greting: found an unknown key "greting", did you mean "greeting"?',
    ],
    [
      'an unknown key like no other',
      agent('limits: { colour: red }'),
      '3:15 agents.a.limits.colour: found an unknown key "colour", wanted one of callSeconds, goodbye',
    ],
    [
      'a key that is missing',
      'agents: { a: {} }\nnumbers:\n  - number: "*"\n',
      '3:5 numbers.0.agent: found nothing, wanted the name of an agent: 1 to 64 small letters, digits and -, not beginning with -',
    ],
    [
      'a misspelt key that is needed',
      agent('lastResort: { sya: Sorry }'),
      '3:19 agents.a.lastResort.sya: found an unknown key "sya", did you mean "say"?',
    ],
    [
      'a setting that goes with another',
      agent('lastResort: { say: Sorry, transfer: "+15550199" }'),
      '3:31 agents.a.lastResort.transfer: found it beside "say", wanted one or the other',
    ],
    [
      'somebody who cannot record',
      agent('recording: carier'),
      '3:16 agents.a.recording: found "carier", wanted true, false, "bridge", "carrier", "both", or { by: …, redact: … }',
    ],
    [
      'redaction out of reach',
      agent('recording: { by: carrier, redact: { words: true } }'),
      '3:39 agents.a.recording.redact: found it with by: carrier, wanted bridge or both: what the carrier records is out of reach',
    ],
    [
      'a rule of redaction that there is not',
      agent('recording: { redact: { nubmers: true, speech: callers } }'),
      [
        '3:28 agents.a.recording.redact.nubmers: found an unknown key "nubmers", did you mean "numbers"?',
        '3:51 agents.a.recording.redact.speech: found "callers", wanted "none", "caller", "agent" or "both"',
      ],
    ],
    [
      'a number that is far too large',
      agent('limits: { callSeconds: 999999 }'),
      '3:28 agents.a.limits.callSeconds: found 999999, wanted a whole number from 1 to 86400',
    ],
    [
      'a number of a webhook, which is no secret',
      agent(`startWebhook: { url: "https://h.example/x", secret: ${HOOK_SECRET}, retries: 9 }`),
      [
        expect.stringMatching(
          /agents\.a\.startWebhook\.retries: found 9, wanted a whole number from 0 to 5$/,
        ),
      ],
    ],
    [
      'what may be a telephone number where a smaller one belongs',
      agent('limits: { callSeconds: 15550199123 }'),
      '3:28 agents.a.limits.callSeconds: found a number, wanted a whole number from 1 to 86400',
    ],
    [
      'a value that begins with braces, and goes on',
      agent('greeting: {{caller}}, hello', 'voice: marin'),
      '3:15 found a value that begins with {{ without quotes, wanted it in quotes',
    ],
    [
      'a value of a list that begins with braces, and goes on',
      agent('silence:', '  prompts:', '    - {{caller}} are you there?', '    - Hello?'),
      '5:11 found a value that begins with {{ without quotes, wanted it in quotes',
    ],
    [
      'a colon too many in a text that has braces in it',
      agent('greeting: Hello: {{caller}}: x'),
      [expect.stringMatching(/^3:\d+ found text that is no YAML \(/)],
    ],
    [
      'text for a number',
      agent('toolsAtOnce: many'),
      '3:18 agents.a.toolsAtOnce: found "many", wanted a whole number from 1 to 32',
    ],
    [
      'a number that is too large',
      agent('turnDetection: { threshold: 2 }'),
      '3:33 agents.a.turnDetection.threshold: found 2, wanted a number from 0 to 1',
    ],
    [
      'a setting of another mode',
      agent('turnDetection: { mode: semantic, threshold: 0.5 }'),
      '3:38 agents.a.turnDetection.threshold: found an unknown key "threshold", wanted one of mode, eagerness',
    ],
    [
      'a mode that there is not',
      agent('turnDetection: { mode: sever }'),
      '3:28 agents.a.turnDetection.mode: found "sever", wanted "server" or "semantic"',
    ],
    [
      'true where text or false may be',
      agent('greeting: true'),
      '3:15 agents.a.greeting: found true, wanted text of 1 to 2000 characters or false',
    ],
    [
      'blanks for text',
      agent('greeting: "  "'),
      '3:15 agents.a.greeting: found blanks, wanted text of 1 to 2000 characters',
    ],
    [
      'a key of the telephone without quotes',
      agent('digits: { endKey: 1 }'),
      '3:23 agents.a.digits.endKey: found a number without quotes, wanted one key in quotes: a digit, "*" or "#"; or false for none',
    ],
    [
      'an empty value',
      'agents:\n  a:\n    voice:\n',
      '3:5 agents.a.voice: found nothing (an empty value), wanted text of 1 to 200 characters',
    ],
    [
      'text for a list',
      agent('providers: openai-and-local'),
      '3:16 agents.a.providers: found "openai-and-local", wanted a list of providers',
    ],
    [
      'something else for a function',
      agent('tools: [[]]'),
      '3:13 agents.a.tools.0: found an empty list, wanted the name of a function, server/function of an MCP server, or a built-in one with settings such as { name: leave_message, text: … }',
    ],
    [
      'parameters that are no JSON Schema',
      'agents: { a: {} }\ntools:\n  hosts: [a.example]\n  http: { x: { description: x, url: "https://a.example/", parameters: { type: object, required: 5 } } }',
      '4:71 tools.http.x.parameters: the parameters are no JSON Schema: parameters/required must be array',
    ],
    ['no agents', 'agents: {}\n', '1:9 agents: found an object without keys, wanted at least one agent'],
    [
      'the name of an agent',
      'agents: { Booking: {} }\n',
      '1:11 agents.Booking: found the name "Booking", wanted the name of an agent: 1 to 64 small letters, digits and -, not beginning with -',
    ],
    [
      'a time zone',
      'timeZone: Europe/Berlim\nagents: { a: {} }',
      '1:11 timeZone: found "Europe/Berlim", wanted an IANA time zone such as "Europe/Berlin"',
    ],
    [
      'a language',
      agent('language: english'),
      '3:15 agents.a.language: found "english", wanted a language tag such as "en" or "de-AT"',
    ],
    [
      'the name of a variable',
      'variables: { 1st: x }\nagents: { a: {} }',
      '1:14 variables.1st: found the name "1st", wanted the name of a variable: a letter or _, then letters, digits, _ and .',
    ],
    [
      'a variable that the bridge fills in',
      agent('variables: { caller: x }'),
      '3:18 agents.a.variables.caller: found the name of a variable that the bridge fills in, wanted another name',
    ],
    [
      'a variable that nobody declares',
      agent('greeting: Hello {{guest}}'),
      '3:21 agents.a.greeting: found {{guest}}, wanted a variable of a call, or one that is declared under variables',
    ],
    [
      'a variable of another name',
      `variables: { business: x }\n${agent('greeting: Hello {{ busines }}')}`,
      '4:21 agents.a.greeting: found {{busines}}, did you mean {{business}}?',
    ],
    [
      'braces that are not closed',
      agent('instructions: |', '  You are {{agent}}.', '  It is {{time.'),
      '5:13 agents.a.instructions: found {{ without a name and }}, wanted {{name}}, or \\{{ for the characters',
    ],
    [
      'a value that begins with a variable',
      agent('greeting: {{business}}'),
      '3:16 agents.a.greeting: found a value that begins with {{ without quotes, wanted it in quotes',
    ],
    [
      'instructions that are not there',
      agent('instructions: { file: no.md }'),
      '3:27 agents.a.instructions.file: found no such file at "no.md", wanted text of 1 to 100000 characters',
    ],
    [
      'a clip that is not there',
      agent('filler: { clip: no.wav }'),
      '3:21 agents.a.filler.clip: found no such file at "no.wav", wanted a WAV file of at most a minute',
    ],
    [
      'a clip that is no WAV',
      agent('filler: { clip: c.md }'),
      '3:21 agents.a.filler.clip: found a file that is no such sound (file of 3 bytes begins with "", wanted "RIFF WAVE"), wanted a WAV file of at most a minute',
    ],
    [
      'a filler that is both',
      agent('filler: { say: [Hm], clip: c.wav }'),
      [
        '3:26 agents.a.filler.clip: found say too, wanted one of the two',
        '3:32 agents.a.filler.clip: found no such file at "c.wav", wanted a WAV file of at most a minute',
      ],
    ],
    [
      'a provider',
      agent('providers: [opnai]'),
      '3:17 agents.a.providers.0: found "opnai", which is no provider, did you mean "openai"?',
    ],
    [
      'a provider with settings',
      agent('providers: [{ name: gemini }]'),
      '3:25 agents.a.providers.0.name: found "gemini", which is no provider, wanted one of openai, local',
    ],
    [
      'a function',
      agent('tools: [end_cal]'),
      '3:13 agents.a.tools.0: found "end_cal", which is no function, did you mean "end_call"?',
    ],
    [
      'a function that is listed twice',
      agent('tools: [end_call, { name: end_call }]'),
      '3:23 agents.a.tools.1: found "end_call" again, wanted each function once',
    ],
    [
      'a transfer to nobody',
      agent('tools: [transfer_call]'),
      '3:13 agents.a.tools.0: found transfer_call without destinations, wanted { name: transfer_call, destinations: [{ name: …, to: … }] }',
    ],
    [
      'a transfer with no destination in the list',
      agent('tools: [{ name: transfer_call, destinations: [] }]'),
      '3:50 agents.a.tools.0.destinations: found an empty list, wanted at least one destination',
    ],
    [
      'destinations of one name',
      agent(
        'tools:',
        '  - name: transfer_call',
        '    destinations: [{ name: x, to: "+15550100" }, { name: X, to: "+15550101" }]',
      ),
      '5:62 agents.a.tools.0.destinations.1.name: found "X" again, wanted another name for each destination',
    ],
    [
      'a function by an MCP server that there is not',
      `${agent('tools: [crn/*]')}tools: { mcp: { crm: { command: node } } }`,
      '3:13 agents.a.tools.0: found the server "crn", which tools.mcp does not have, did you mean "crm"?',
    ],
    [
      'an agent that a number leads to',
      'agents: { booking: {} }\nnumbers: [{ number: "*", agent: bokking }]',
      '2:33 numbers.0.agent: found "bokking", which is no agent, did you mean "booking"?',
    ],
    [
      'a number that is there twice',
      'agents: { a: {} }\nnumbers:\n  - { number: "+1 555-0100", agent: a }\n  - { number: "15550100", agent: a }\n',
      '4:15 numbers.1.number: found the number of numbers.0 again, wanted each number once for a carrier',
    ],
    [
      'a number without quotes',
      'agents: { a: {} }\nnumbers: [{ number: +15550100, agent: a }]',
      '2:21 numbers.0.number: found a number without quotes, wanted a number in quotes such as "+15550100", the beginning of one such as "+49*", "sip:…" or "*"',
    ],
    [
      'a star in the middle',
      'agents: { a: {} }\nnumbers: [{ number: "+49*30", agent: a }]',
      '2:21 numbers.0.number: found "+49*30", wanted a number in quotes such as "+15550100", the beginning of one such as "+49*", "sip:…" or "*"',
    ],
    [
      'a carrier',
      'agents: { a: {} }\nnumbers: [{ number: "*", agent: a, carrier: twillio }]',
      '2:45 numbers.0.carrier: found "twillio", wanted "twilio", "telnyx" or "plivo"',
    ],
    [
      'several agents without numbers',
      'agents: { a: {}, b: {} }\n',
      '1:1 numbers: found nothing, wanted the numbers of the 2 agents',
    ],
    [
      'a budget without prices',
      agent('budget: { perCall: 1 }'),
      '3:15 agents.a.budget.perCall: found a budget and no prices, wanted prices in the section of that name',
    ],
    [
      'prices of a carrier that there is not',
      'agents: { a: {} }\nprices: { currency: USD, carriers: { twillio: {} } }',
      '2:38 prices.carriers.twillio: found an unknown key "twillio", did you mean "twilio"?',
    ],
    [
      'a function by HTTP with the name of another',
      `${agent('voice: marin')}tools:\n  hosts: [a.example]\n  http: { end_call: { description: x, url: "https://a.example/" } }`,
      '6:11 tools.http.end_call: found the name of a built-in function, wanted another one',
    ],
    [
      'a host that functions may not reach',
      `${agent('voice: marin')}tools:\n  hosts: [a.example]\n  http: { x: { description: x, url: "https://b.example/" } }`,
      '6:37 tools.http.x.url: found a host that tools.hosts does not let be reached, wanted one of them',
    ],
    [
      'plain http to a host that is listed',
      `${agent('voice: marin')}tools:\n  hosts: [a.example]\n  http: { x: { description: x, url: "http://a.example/" } }`,
      '6:37 tools.http.x.url: found plain http, wanted https, or { host: …, private: true } in tools.hosts for a host of your own',
    ],
    [
      'two secrets for one address of reports',
      `webhooks: { end: { url: "https://h.example/x", secret: ${HOOK_SECRET} } }\n${agent(
        `endWebhook: { url: "https://h.example/x", secret: ${OTHER_SECRET} }`,
        `startWebhook: { url: "https://h.example/x", secret: ${OTHER_SECRET} }`,
      )}`,
      '4:55 agents.a.endWebhook.secret: found another secret than that of webhooks.end for the same address, wanted one secret for an address',
    ],
    [
      'a variable of a function by HTTP',
      `${agent('voice: marin')}tools:\n  hosts: [a.example]\n  http: { x: { description: x, url: "https://a.example/{{gest}}" } }`,
      '6:11 tools.http.x: found {{gest}}, wanted a variable of a call, or one that is declared under variables',
    ],
  ])('%s', async (_, text, wanted) => {
    const files = { 'c.md': 'abc' };
    expect(await mistakes(text, { files })).toEqual([wanted].flat());
  });

  it('in instructions of their own file is shown where it is in that file', async () => {
    using folder = makeFolder({
      'agents.yaml': agent('instructions: { file: prompts/a.md }'),
      'prompts/a.md': 'You are {{agent}}.\nYou work for {{bussiness}}.\n',
    });
    await expect(readAgentsFile(folder.at('agents.yaml'), {})).rejects.toThrow(
      `${folder.at('prompts/a.md')}:2:14 agents.a.instructions: found {{bussiness}}, wanted a variable`,
    );
  });

  it('in a handler module is shown with its file, and its functions are not missed besides', async () => {
    const found = await mistakes(`${agent('tools: [book_table]')}tools: { handlers: [handlers] }`, {
      files: { 'handlers/book.mjs': 'throw new Error("no database")' },
    });
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(/^4:20 tools\.handlers: .*handlers\/book\.mjs.*no database/);
  });

  it('of a value that came by an alias is shown where the alias is', async () => {
    const text =
      'agents:\n  a: { voice: &v "" }\n  b: { greeting: *v }\nnumbers: [{ number: "*", agent: a }]';
    expect(await mistakes(text)).toEqual([
      '2:18 agents.a.voice: found empty text, wanted text of 1 to 200 characters',
      '3:18 agents.b.greeting: found empty text, wanted text of 1 to 2000 characters',
    ]);
  });

  it('of a value that came by a merge key is shown where it is written', async () => {
    const text = 'agents:\n  a: &a { audio: wide }\n  b: { <<: *a }\nnumbers: [{ number: "*", agent: a }]';
    expect(await mistakes(text)).toEqual([
      '2:18 agents.a.audio: found "wide", wanted "wideband" or "passthrough"',
      '2:18 agents.b.audio: found "wide", wanted "wideband" or "passthrough"',
    ]);
  });
});

describe('a message', () => {
  it('has a line for each of twenty mistakes of twenty kinds', async () => {
    using folder = makeFolder({ 'agents.yaml': TWENTY, 'prompts/waiter.md': 'You serve {{guets}}.' });
    const path = folder.at('agents.yaml');
    const error: unknown = await readAgentsFile(path, {}, { providers: PROVIDERS }).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(BridgeError);
    const { message } = BridgeError.from(error);
    expect(message.replaceAll(`${folder.path}/`, '').split('\n')).toEqual(TWENTY_LINES);
  });

  it('never shows what is below tools and webhooks, nor overrides of a provider', async () => {
    const secret = 'sk-VerySecret';
    const text = `agents:
  a: { startWebhook: { url: ${secret}, secret: ${secret}, retries: ${secret} }, providers: [{ name: local, overrides: ${secret} }] }
webhooks:
  start: ${secret}
  end: { url: "\${SECRET}", secret: "\${SECRET}", transcript: ${secret} }
tools:
  redact: ${secret}
  http: { x: { description: ${secret}, url: ${secret}, method: ${secret}, headers: ${secret}, timeoutMs: 12345678 } }
  mcp: { x: { command: 5, url: ${secret}, env: { A: [${secret}] }, headers: { "${secret.length}": 1 } } }
`;
    const found = await mistakes(text, { env: { SECRET: secret } });
    expect(found.length).toBeGreaterThan(12);
    expect(found.join('\n')).not.toMatch(/VerySecret|12345678/);
    expect(found).toContain(
      '8:72 tools.http.x.method: found text of 13 characters, wanted "GET", "HEAD", "POST", "PUT", "PATCH" or "DELETE"',
    );
  });

  it.each([
    ['webhooks:\n  end: { url: https://x.example, secret: "SECRET }\n'],
    ['webhooks:\n  end:\n    secret: @SECRET\n'],
    ['webhooks:\n  end:\n    secret: |SECRET\n'],
    ['webhooks:\n  end:\n    secret: SECRET: x: SECRET\n'],
    ['webhooks:\n  end:\n    secret: !SECRET x\n'],
    ['webhooks:\n  end:\n    secret: *SECRET\n'],
    ['webhooks: { end: { secret: SECRET, ] }'],
    ['webhooks: &SECRET { end: *SECRET }'],
    ['webhooks: { end: "x" SECRET }'],
    ['webhooks: { end: "\\SECRET" }'],
    ['%SECRET 1\n---\nwebhooks: {}'],
    ['agents: { a: { endWebhook: { SECRET: 1 } } }'],
    ['agents: { a: { SECRET: 1 } }'],
    ['agents: { a: {} }\nSECRET: 1'],
    ['agents: { a: {} }\nwebhooks: { SECRET: { url: 1 } }'],
    ['agents: { a: {} }\ntools: { mcp: { SECRET: { url: 1 } }, http: { x: { SECRET: 1 } } }'],
    ['agents: { a: {} }\nwebhooks:\n  ? SECRET\n  : x\n SECRET\n- y'],
  ])('never shows a secret that stands where it should not: %j', async (text) => {
    for (const secret of [
      'whsec_SESAMESESAME',
      'whsec_SESAMEMfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
      'xoxb-SESAME',
    ]) {
      const found = await mistakes(text.replaceAll('SECRET', secret));
      expect(found.length).toBeGreaterThan(0);
      expect(found.join('\n')).not.toContain('SESAME');
    }
  });

  it('still says which key is meant below webhooks', async () => {
    const text = 'agents: { a: {} }\nwebhooks: { strat: 1, colour: 2 }';
    expect(await mistakes(text)).toEqual([
      '2:13 webhooks.strat: found an unknown key "strat", did you mean "start"?',
      '2:23 webhooks: found an unknown key of 6 characters, wanted one of start, end',
    ]);
  });

  it('never shows a telephone number', async () => {
    const found = await mistakes(`agents:
  a: { audio: "+1 (555) 010-0199", greeting: 15550100199, "15550100199": x }
numbers:
  - { number: "+1555010019x", agent: "+15550100199" }
  - { number: "+15550100199", agent: a }
  - { number: "+15550100199", agent: a }
`);
    expect(found).toHaveLength(6);
    expect(found.join('\n')).not.toMatch(/0199/);
  });

  it('tells at most two hundred mistakes of one text, each where it is', async () => {
    const found = await mistakes(agent(`greeting: "\\\\{{q}} ${'{{q}}'.repeat(300)}"`, 'language: "{{q}}"'));
    expect(found).toHaveLength(201);
    expect(found[0]).toMatch(/^3:24 agents\.a\.greeting: found \{\{q\}\}, /);
    expect(found[199]).toMatch(/^3:1019 agents\.a\.greeting: /);
  });

  it('ends after two hundred mistakes with their number', async () => {
    const keys = Array.from({ length: 250 }, (_, i) => `  wrong${i}: 1\n`);
    const error: unknown = await read(`agents:\n  a: {}\n  b:\n  ${keys.join('  ')}`).catch(
      (thrown: unknown) => thrown,
    );
    const lines = BridgeError.from(error).message.split('\n');
    expect(lines).toHaveLength(201);
    expect(lines.at(-1)).toBe('… and 51 more mistakes');
    expect(mistakesOf(error)?.mistakes).toHaveLength(251);
  });
});

const TWENTY = `timeZone: Europe/Berlim
variabels: { business: Trattoria }
agents:
  Host: {}
  booking:
    audio: widebnad
    turnDetection: { threshold: 2 }
    digits: { endKey: # }
    }
    silence: { prompts: Hello? }
    filler: { clip: typing.wav }
    tools: [end_call, end_call, transfer_call, book_tabel]
    lastResort: hangup
    budget: { perCall: 1.5 }
    providers: [opnai]
  waiter:
    instructions: { file: prompts/waiter.md }
numbers:
  - { number: +15550100, agent: booking, carrier: twillio }
  - { number: "+15550101", agent: bookings }
  - { number: "+1555-0101", agent: waiter }
webhooks:
  end: { url: "https://example.com/end", secret: "\${HOOK_SECRET}" }
`;

const TWENTY_LINES = [
  'BAD_CONFIG: agents.yaml:1:11 timeZone: found "Europe/Berlim", wanted an IANA time zone such as "Europe/Berlin"',
  'agents.yaml:2:1 variabels: found an unknown key "variabels", did you mean "variables"?',
  'agents.yaml:4:3 agents.Host: found the name "Host", wanted the name of an agent: 1 to 64 small letters, digits and -, not beginning with -',
  'agents.yaml:6:12 agents.booking.audio: found "widebnad", wanted "wideband" or "passthrough"',
  'agents.yaml:7:33 agents.booking.turnDetection.threshold: found 2, wanted a number from 0 to 1',
  'agents.yaml:8:15 agents.booking.digits.endKey: found nothing (an empty value), wanted one key in quotes: a digit, "*" or "#"; or false for none',
  'agents.yaml:10:25 agents.booking.silence.prompts: found "Hello?", wanted a list of texts',
  'agents.yaml:11:21 agents.booking.filler.clip: found no such file at "typing.wav", wanted a WAV file of at most a minute',
  'agents.yaml:12:23 agents.booking.tools.1: found "end_call" again, wanted each function once',
  'agents.yaml:12:33 agents.booking.tools.2: found transfer_call without destinations, wanted { name: transfer_call, destinations: [{ name: …, to: … }] }',
  'agents.yaml:12:48 agents.booking.tools.3: found "book_tabel", which is no function, wanted one of end_call, current_time, transfer_call, send_digits, collect_digits, leave_message',
  'agents.yaml:13:17 agents.booking.lastResort: found "hangup", wanted "hang-up" or an object',
  'agents.yaml:14:15 agents.booking.budget.perCall: found a budget and no prices, wanted prices in the section of that name',
  'agents.yaml:15:17 agents.booking.providers.0: found "opnai", which is no provider, did you mean "openai"?',
  'agents.yaml:19:15 numbers.0.number: found a number without quotes, wanted a number in quotes such as "+15550100", the beginning of one such as "+49*", "sip:…" or "*"',
  'agents.yaml:19:51 numbers.0.carrier: found "twillio", wanted "twilio", "telnyx" or "plivo"',
  'agents.yaml:20:35 numbers.1.agent: found "bookings", which is no agent, did you mean "booking"?',
  'agents.yaml:21:15 numbers.2.number: found the number of numbers.1 again, wanted each number once for a carrier',

  `agents.yaml:23:51 webhooks.end.secret: found nothing in the environment for \${HOOK_SECRET}, wanted a value`,
  'prompts/waiter.md:1:11 agents.waiter.instructions: found {{guets}}, wanted a variable of a call, or one that is declared under variables',
];
