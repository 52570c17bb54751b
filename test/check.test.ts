import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { symlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { agentsJsonSchemaText } from '../src/agents-file/json-schema.ts';
import { check } from '../src/commands/check.ts';
import type { Terminal } from '../src/commands/command.ts';
import type { Env } from '../src/config.ts';
import { HOOK_SECRET, handlerModule, makeFolder, wavFile } from './support/agents-folder.ts';
import { emitModules } from './support/emit-modules.ts';

type Files = Readonly<Record<string, string | Uint8Array>>;

interface Outcome {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

/** The note on agents that have one provider. */
function alone(names: string, provider = 'openai'): string {
  const agents = names.includes(',') ? 'agents' : 'agent';
  return `${agents} ${names}: no provider but ${provider}; a call that loses it is dialled anew at the same one`;
}

/** Runs `patchcord check` in a folder with these files; `agents.yaml` is the one that is checked. */
async function run(files: Files, argv: readonly string[] = [], env: Env = {}): Promise<Outcome> {
  using folder = makeFolder(files);
  let out = '';
  let err = '';
  const terminal: Terminal = {
    env,
    isTty: false,
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    onInterrupt: () => () => undefined,
    onStray: () => undefined,
  };
  const status = await check.run([folder.at('agents.yaml'), ...argv], terminal);
  return { status, out: out.replaceAll(`${folder.path}/`, ''), err: err.replaceAll(`${folder.path}/`, '') };
}

const GOOD = `variables: { business: Trattoria }
agents:
  booking:
    greeting: Hello {{caller_name}}, here is {{business}} and this is a long greeting that goes on and on!
    providers: [{ name: openai, model: gpt-realtime-2.1 }, local]
    tools:
      - end_call
      - { name: transfer_call, destinations: [{ name: reception, to: "+15550199" }, { name: boss, to: "+15550198" }] }
      - book_table
      - order_status
      - crm/find_*
    recording: true
    language: de
    limits: { callSeconds: 900 }
    budget: { perCall: 1.50 }
    lastResort: hang-up
    turnDetection: { silenceMs: 700 }
    endWebhook: false
  waiter: { greeting: false, tools: [] }
  lonely: { providers: [openai] }
numbers:
  - { number: "+15550100", agent: booking, budget: { perDay: 20 } }
  - { number: "+49*", carrier: telnyx, agent: booking, variables: { business: Gasthof } }
  - { number: "*", agent: waiter }
tools:
  handlers: [handlers]
  hosts: [api.example.com]
  http:
    order_status: { description: x, url: "https://api.example.com/" }
    forgotten: { description: x, url: "https://api.example.com/" }
  mcp: { crm: { command: node, args: [crm.mjs] }, idle: { command: node } }
prices: { currency: EUR }
budget: { perDay: 100 }
webhooks:
  start: { url: "https://hooks.example.com:8443/secret-path", secret: "${HOOK_SECRET}" }
  end: { url: "https://reports.example.com/", secret: "${HOOK_SECRET}" }
`;
const FILES = { 'agents.yaml': GOOD, 'handlers/book.mjs': handlerModule('book_table') };

describe('patchcord check', () => {
  it('says what each number will do, and what is probably not meant', async () => {
    expect(await run(FILES, [], { HOOK_SECRET })).toEqual({
      status: 0,
      err: '',
      out: `+15550100        any carrier -> booking: "Hello {{caller_name}}, here is Trattoria and this is a long …", 20 EUR a day
+49*             telnyx      -> booking: "Hello {{caller_name}}, here is Gasthof and this is a long gr…"
*                any carrier -> waiter: waits for the caller

all calls: 100 EUR a day, then callers are told: busy

agent booking
  providers     local (openai gpt-realtime-2.1 lacks OPENAI_API_KEY)
  fail-over     5 s to connect, 8 s to answer, a tone after 800 ms
  functions     end_call, transfer_call (reception, boss), book_table, order_status, crm/find_*
  language      de
  turns end     by loudness and pauses (pause of 700 ms)
  audio         wideband
  recording     by the carrier, from the first second
  longest call  900 s
  budget        1.5 EUR a call
  webhooks      start hooks.example.com:8443
  last resort   hang-up

agent waiter
  providers     local
  fail-over     5 s to connect, 8 s to answer, a tone after 800 ms
  functions     none
  language      as the model decides
  turns end     by loudness and pauses
  audio         wideband
  recording     no
  longest call  3600 s
  budget        none
  webhooks      start hooks.example.com:8443, end reports.example.com
  last resort   say: "We are sorry. There is a technical problem and we cannot go …"

agent lonely
  providers     none: openai lacks OPENAI_API_KEY
  fail-over     5 s to connect, 8 s to answer, a tone after 800 ms
  functions     end_call, current_time
  language      as the model decides
  turns end     by loudness and pauses
  audio         wideband
  recording     no
  longest call  3600 s
  budget        none
  webhooks      start hooks.example.com:8443, end reports.example.com
  last resort   say: "We are sorry. There is a technical problem and we cannot go …"

note: agent lonely: no number leads to it; only a start webhook or POST /calls can
note: function forgotten: no agent lists it
note: MCP server idle: no agent lists a function of it
note: prices: openai has none, so that what it costs is in no budget
note: agent lonely: none of its providers can be used in this environment; \`serve\` will not start here
`,
    });
  });

  it('takes what agents leave out from the environment, as the service does', async () => {
    const env = {
      OPENAI_API_KEY: 'sk-x',
      AGENT_GREETING: 'Good day!',
      AGENT_LANGUAGE: 'fr',
      AUDIO_PATH: 'passthrough',
      MAX_CALL_SECONDS: '120',
    };
    const { out } = await run({ 'agents.yaml': 'agents: { a: { limits: { callSeconds: 900 } } }' }, [], env);
    expect(out).toContain('*                any carrier -> a: "Good day!"\n');
    expect(out).toMatch(/providers +openai\n/);
    expect(out).toMatch(/language +fr\n/);
    expect(out).toMatch(/audio +passthrough\n/);
    expect(out).toMatch(/longest call +120 s\n/);
    expect(out.match(/note: .*/g)).toEqual([`note: ${alone('a')}`]);
  });

  it('notes that the environment itself is not good, and checks the file all the same', async () => {
    const { status, out } = await run({ 'agents.yaml': 'agents: { a: {} }' }, [], { PORT: 'x' });
    expect(status).toBe(0);
    const said = 'PORT: found "x", wanted a whole number from 0 to 65535; `serve` will not start here';
    expect(out).toContain(`note: environment: ${said}\n`);
  });

  it('knows the providers of an environment that has mistakes all the same', async () => {
    const env = { PORT: 'x', GEMINI_API_KEY: 'AIza' };
    const { out } = await run({ 'agents.yaml': 'agents: { a: { providers: [gemini] } }' }, [], env);
    expect(out).toMatch(/providers +gemini\n/);
    expect(out).not.toContain('can be used');
  });

  it.each([
    [{ PROVIDER: 'gemini' }, 'agents: { a: {} }', ['a']],
    [{}, 'agents: { a: { providers: [xai, openai] }, b: {} }\nnumbers: [{ number: "*", agent: a }]', ['a']],
    [{}, 'agents: { a: {} }', []],
  ])('says when `serve` will not start: %j, %s', async (env, text, agents) => {
    const { out } = await run({ 'agents.yaml': text }, [], env);
    const words = 'none of its providers can be used in this environment; `serve` will not start here';
    const notes = out.split('\n').filter((line) => line.includes('can be used'));
    expect(notes).toEqual(agents.map((name) => `note: agent ${name}: ${words}`));
  });

  it('does not shorten a call for the sake of a session: it goes on in the next one', async () => {
    const files = { 'agents.yaml': 'agents: { a: { providers: [nova, gemini] } }' };
    const { out } = await run(files, [], { GEMINI_API_KEY: 'AIza' });
    expect(out).toMatch(/longest call +3600 s\n/);
  });

  /** The notes on providers, their models and voices; without that on agents that have one provider only. */
  async function notesOn(text: string, env: Env, files: Files = {}): Promise<readonly string[]> {
    const { status, out } = await run({ ...files, 'agents.yaml': text }, [], env);
    expect(status).toBe(0);
    const notes = out.split('\n').filter((line) => line.startsWith('note: ') && !line.includes('anew'));
    return notes.map((line) => line.replace(/^note: /, '').replace(AGE, ' …'));
  }
  const AGE = ' (lists age; docs/providers.md has the one of this version)';
  const KEYS = {
    OPENAI_API_KEY: 'sk-x',
    GEMINI_API_KEY: 'AIza',
    INWORLD_API_KEY: 'x',
    AZURE_VOICE_LIVE_API_KEY: 'x',
  };

  it.each([
    [
      '{ voice: marin, providers: [openai, gemini] }',
      ['agent a: gemini is not known to have the voice "marin" …'],
    ],
    ['{ voice: marin, providers: [openai, { name: gemini, voice: Puck }] }', []],
    [
      '{ providers: [{ name: openai, model: gpt-realtme-2.1, voice: martin }] }',
      [
        'agent a: openai is not known to have the model "gpt-realtme-2.1", did you mean "gpt-realtime-2.1"? …',
        'agent a: openai is not known to have the voice "martin", did you mean "marin"? …',
      ],
    ],
    ['{ providers: [{ name: gemini, model: models/gemini-3.8-live }] }', []],
    ['{ providers: [{ name: inworld, model: openai/gpt-4o-mini, voice: Clive }] }', []],
  ])('notes models and voices that are in no list: %s', async (agent, notes) => {
    expect(await notesOn(`agents: { a: ${agent} }`, KEYS)).toEqual(notes);
  });

  it('notes those of the environment too, once, unless the agent has its own', async () => {
    const env = { GEMINI_API_KEY: 'AIza', GEMINI_MODEL: 'gemini-9-live', GEMINI_VOICE: 'marin' };
    const numbers = ['a', 'b', 'c'].map((name, i) => `{ number: "+1555010${i}", agent: ${name} }`);
    const text = `agents: { a: {}, b: {}, c: { voice: Puck } }\nnumbers: [${numbers.join()}]`;
    expect(await notesOn(text, env)).toEqual([
      'environment: gemini is not known to have the model "gemini-9-live" …',
      'environment: gemini is not known to have the voice "marin" …',
    ]);
  });

  const LINE_CHECK =
    'agent a: local is the line check and no model: a caller who is handed to it talks with a measuring program';
  const UNCHOSEN = ': whoever takes over there speaks with a voice that nobody has chosen';
  const NEVER = 'agent a: nobody is dialled beside a slow provider, because that would be after';
  const TONE = 'and no default, so that a soft tone is heard';

  it.each([
    ['{ providers: [openai, gemini] }', []],
    ['{ providers: [openai, local] }', [LINE_CHECK]],
    ['{ providers: [local, xai] }', []],
    [
      '{ providers: [{ name: openai, voice: cedar }, gemini] }',
      [`agent a: openai has a voice and gemini none${UNCHOSEN}`],
    ],
    [
      '{ providers: [openai, { name: gemini, voice: Puck }] }',
      [`agent a: gemini has a voice and openai none${UNCHOSEN}`],
    ],
    ['{ providers: [{ name: openai, voice: cedar }, { name: gemini, voice: Puck }] }', []],
    ['{ providers: [{ name: openai, voice: cedar }, xai] }', []],
    [
      '{ providers: [{ name: openai, voice: cedar }, { name: openai, model: gpt-realtime-2, voice: marin }] }',
      ['agent a: its entries for openai have different voices, so that a caller hears the change'],
    ],
    [
      '{ providers: [openai, gemini], failover: { connectSeconds: 2 } }',
      [`${NEVER} 2 s and it is given up after 2 s`],
    ],
    ['{ providers: [openai, gemini], failover: { connectSeconds: 2, hedgeSeconds: 0 } }', []],
    ['{ providers: [openai], failover: { connectSeconds: 2 } }', []],
    [
      '{ failover: { answerSeconds: 2.5 } }',
      ['agent a: a provider is given up that takes 2.5 s to answer, and good ones do so now and then'],
    ],
    ['{ failover: { answerSeconds: 3 } }', []],
    ['{ failover: { answerSeconds: 0 } }', []],
    [
      '{ language: fr, failover: { filler: { clip: { de: a.wav } } } }',
      [`agent a: failover.filler.clip has nothing for fr ${TONE}`],
    ],
    [
      '{ failover: { filler: { clip: { de: a.wav } } } }',
      [`agent a: failover.filler.clip has nothing for an agent without a language ${TONE}`],
    ],
    ['{ language: de-AT, failover: { filler: { clip: { de: a.wav } } } }', []],
    ['{ language: fr, failover: { filler: { clip: { default: a.wav } } } }', []],
    ['{ language: fr, failover: { filler: { clip: a.wav } } }', []],
  ])('notes what a list of providers is probably not meant to be: %s', async (agent, notes) => {
    expect(await notesOn(`agents: { a: ${agent} }`, KEYS, { 'a.wav': wavFile(8000) })).toEqual(notes);
  });

  it('notes the agents that have one provider and no other, by provider', async () => {
    const names = Array.from({ length: 11 }, (_, i) => `a${i}`);
    const numbers = names.map((name, i) => `{ number: "+1555010${i}", agent: ${name} }`);
    const agents = names.map((name, i) => `${name}: ${i < 10 ? '{}' : '{ providers: [gemini, xai] }'}`);
    const text = `agents: { ${agents.join()}, b: { providers: [openai, gemini] }, c: { providers: [local] } }
numbers: [${numbers.join()}, { number: "1", agent: b }, { number: "2", agent: c }]`;
    const { out } = await run({ 'agents.yaml': text }, [], KEYS);
    expect(out.match(/note: .*/g)).toEqual([
      `note: ${alone('a0, a1, a2, a3, a4, a5, a6, a7 and 2 more')}`,
      `note: ${alone('a10', 'gemini')}`,
    ]);
  });

  it('takes the list of PROVIDER, the times and the last resort for agents that say nothing of them', async () => {
    const env = {
      ...KEYS,
      PROVIDER: 'gemini, openai',
      FAILOVER_CONNECT_SECONDS: '4.5',
      FAILOVER_HEDGE_SECONDS: '1.5',
      FAILOVER_ANSWER_SECONDS: '0',
      LAST_RESORT_MESSAGE: 'Please leave a message.',
    };
    const own = 'failover: { hedgeSeconds: 0, filler: { clip: a.wav, afterMs: 500 } }, lastResort: hang-up';
    const text = `agents: { a: {}, b: { ${own} } }\nnumbers: [{ number: "1", agent: a }, { number: "2", agent: b }]`;
    const files = { 'agents.yaml': text, 'a.wav': wavFile(8000) };
    const { out } = await run(files, [], env);
    expect(out.match(/^ {2}(providers|fail-over|last resort) .*/gm)).toEqual([
      '  providers     gemini, then openai',
      '  fail-over     4.5 s to connect, the next one beside it after 1.5 s, any time to answer, a tone after 800 ms',
      '  last resort   message: "Please leave a message."',
      '  providers     gemini, then openai',
      '  fail-over     4.5 s to connect, any time to answer, a clip after 500 ms',
      '  last resort   hang-up',
    ]);
    const { agents } = JSON.parse((await run(files, ['--json'], env)).out);
    expect(agents[0]).toMatchObject({
      providers: [{ name: 'gemini' }, { name: 'openai' }],
      failover: {
        connectSeconds: 4.5,
        hedgeSeconds: 1.5,
        answerSeconds: 0,
        filler: 'tone',
        fillerAfterMs: 800,
      },
      lastResort: 'message',
      lastResortText: 'Please leave a message.',
    });
    expect(agents[1]).toMatchObject({ failover: { hedgeSeconds: 0, filler: 'clip', fillerAfterMs: 500 } });
  });

  it('prints the same as JSON', async () => {
    const { status, out } = await run(FILES, ['--json'], { HOOK_SECRET });
    expect(status).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      ok: true,
      file: 'agents.yaml',
      currency: 'EUR',
      numbers: [
        { number: '+15550100', agent: 'booking', perDay: 20 },
        { number: '+49*', carrier: 'telnyx', agent: 'booking' },
        { number: '*', agent: 'waiter' },
      ],
      agents: [
        {
          name: 'booking',
          providers: [
            { name: 'openai', model: 'gpt-realtime-2.1', lacks: 'OPENAI_API_KEY' },
            { name: 'local' },
          ],
          recording: { by: 'carrier' },
          perCall: 1.5,
        },
        { name: 'waiter' },
        { name: 'lonely' },
      ],
    });
  });

  it('prints every mistake of a broken file, one a line, and their number', async () => {
    const files = { 'agents.yaml': 'agents:\n  a: { audio: loud, tools: [end_cal] }\n' };
    const lines = [
      'agents.yaml:2:15 agents.a.audio: found "loud", wanted "wideband" or "passthrough"',
      'agents.yaml:2:29 agents.a.tools.0: found "end_cal", which is no function, did you mean "end_call"?',
    ];
    expect(await run(files)).toEqual({ status: 2, out: '', err: `${lines.join('\n')}\n2 mistakes\n` });
    const { status, out, err } = await run(files, ['--json']);
    expect({ status, err }).toEqual({ status: 2, err: '' });
    expect(JSON.parse(out)).toEqual({
      ok: false,
      mistakes: [
        {
          file: 'agents.yaml',
          line: 2,
          column: 15,
          path: 'agents.a.audio',
          text: 'found "loud", wanted "wideband" or "passthrough"',
        },
        expect.objectContaining({ path: 'agents.a.tools.0' }),
      ],
    });
  });

  it('imports handler modules, and reports what goes wrong in them', async () => {
    const { status, err } = await run(
      { ...FILES, 'handlers/more.mjs': 'throw new Error("out of order");' },
      [],
      {
        HOOK_SECRET,
      },
    );
    expect(status).toBe(2);
    expect(err).toMatch(/^agents\.yaml:26:13 tools\.handlers: .*more\.mjs.*out of order/);
    expect(err).toContain('1 mistake\n');
  });

  it('asks MCP servers for their functions when it is told to', async () => {
    const sdk = (file: string): string =>
      JSON.stringify(import.meta.resolve(`@modelcontextprotocol/sdk/server/${file}.js`));
    const server = `import { McpServer } from ${sdk('mcp')};
import { StdioServerTransport } from ${sdk('stdio')};
const server = new McpServer({ name: 'crm', version: '1.0.0' });
server.registerTool('find_customer', { description: 'Finds.' }, () => ({ content: [] }));
server.registerTool('delete_all', { description: 'Deletes.' }, () => ({ content: [] }));
await server.connect(new StdioServerTransport());
`;
    const text = `agents: { a: { tools: [crm/find_*, crm/nothing_*] } }
tools: { mcp: { crm: { command: node, args: [crm.mjs], prefix: "crm_" } } }
`;
    const { status, out } = await run({ 'agents.yaml': text, 'crm.mjs': server }, ['--connect']);
    expect(status).toBe(0);
    expect(out).toContain('MCP server crm\n  functions     crm_find_customer, crm_delete_all\n');
    expect(out).toContain('note: agent a: the MCP server crm has no function nothing_*');
    expect(out).not.toContain('has no function find_*');
  });

  it('fails when an MCP server does not come up, and says why and where', async () => {
    const text = `agents: { a: { tools: [crm/find_*] } }
tools:
  mcp:
    crm: { command: node, args: [crm.mjs] }
    gone: { command: ./no-such-program }
`;
    const files = { 'agents.yaml': text, 'crm.mjs': 'process.stdin.once("data", () => process.exit(3));' };
    const { status, out, err } = await run(files, ['--connect']);
    expect({ status, out }).toEqual({ status: 2, out: '' });
    const [crm, gone, ...rest] = err.split('\n');
    expect(crm).toBe(
      'agents.yaml:4:5 tools.mcp.crm: it does not come up: the program ended with exit code 3',
    );
    expect(gone).toMatch(/^agents\.yaml:5:5 tools\.mcp\.gone: it does not come up: .{10}/);
    expect(rest).toEqual(['2 mistakes', '']);
    expect(JSON.parse((await run(files, ['--connect', '--json'])).out)).toMatchObject({
      ok: false,
      mistakes: [{ path: 'tools.mcp.crm', line: 4 }, { path: 'tools.mcp.gone' }],
    });
  });

  it.each([
    [
      '[xai, gemini, { name: openai, model: b }]',
      { OPENAI_API_KEY: 'sk-x', XAI_API_KEY: 'x' },
      'xai, then openai b (gemini lacks GEMINI_API_KEY)',
    ],
    ['[local, openai]', {}, 'local (openai lacks OPENAI_API_KEY)'],
    ['[openai, local]', {}, 'local (openai lacks OPENAI_API_KEY)'],
    [
      '[{ name: openai, model: a }, local, { name: openai, model: b }]',
      {},
      'local (openai a lacks OPENAI_API_KEY, openai b lacks OPENAI_API_KEY)',
    ],
    [
      '[{ name: openai, model: a }, { name: openai, model: b }]',
      { OPENAI_API_KEY: 'sk-x' },
      'openai a, then openai b',
    ],
    ['[openai]', {}, 'none: openai lacks OPENAI_API_KEY'],
  ])('says in which order providers are tried: %s in %j', async (providers, env, words) => {
    const { out } = await run({ 'agents.yaml': `agents: { a: { providers: ${providers} } }` }, [], env);
    expect(out).toContain(`\n  providers     ${words}\n`);
  });

  it.each([
    ['{ mode: semantic }', 'by what was said'],
    ['{ mode: semantic, eagerness: low }', 'by what was said (eagerness low)'],
    [
      '{ threshold: 0, prefixMs: 0, silenceMs: 200 }',
      'by loudness and pauses (threshold 0, 0 ms before it, pause of 200 ms)',
    ],
  ])('says when turns end: %s', async (turns, words) => {
    const { out } = await run({ 'agents.yaml': `agents: { a: { turnDetection: ${turns} } }` });
    expect(out).toContain(`\n  turns end     ${words}\n`);
  });

  it('leaves variables in a greeting whose value comes with the call', async () => {
    const text =
      'agents: { a: { greeting: "Hello {{guest}} of {{room}}!", variables: { guest: "", room: 5 } } }';
    expect((await run({ 'agents.yaml': text })).out).toContain('-> a: "Hello {{guest}} of 5!"');
  });

  it('notes variables of the environment where they are only text', async () => {
    const text = `variables: { shop: "\${SHOP}", price: "$\${5}" }
agents:
  a: { greeting: "Hi from \${HOME}", instructions: "Cost: \${ 5 }", variables: { key: "\${KEY}" } }
numbers: [{ number: "+15550100", agent: a, variables: { desk: "x\${DESK}" } }]
`;
    const { status, out } = await run({ 'agents.yaml': text });
    expect(status).toBe(0);
    const notes = out.split('\n').filter((line) => line.startsWith('note: '));
    const words =
      'is no variable of the environment here, only below tools and webhooks; it stays as it is written';
    expect(notes).toEqual([
      `note: variables.shop: \${SHOP} ${words}`,
      `note: agents.a.greeting: \${HOME} ${words}`,
      `note: agents.a.variables.key: \${KEY} ${words}`,
      `note: numbers.0.variables.desk: \${DESK} ${words}`,
    ]);
  });

  it('prints the JSON Schema without asking for a file', async () => {
    let out = '';
    const terminal = {
      env: {},
      isTty: false,
      out: (text: string) => {
        out += text;
      },
      err: () => undefined,
      onInterrupt: () => () => undefined,
      onStray: () => undefined,
    };
    expect(await check.run(['--schema'], terminal)).toBe(0);
    expect(out).toBe(agentsJsonSchemaText());
    await expect(check.run([], terminal)).rejects.toThrow(
      'BAD_INPUT: found no file, wanted one as an argument or in AGENTS_FILE',
    );
    await expect(check.run(['a', 'b'], terminal)).rejects.toThrow('BAD_INPUT: found 2 files, wanted one');
  });
});

describe('the program', () => {
  it('is done with a file whose modules keep something open', async () => {
    using folder = makeFolder({
      'agents.yaml': 'agents: { one: { tools: [tick] } }\ntools: { handlers: [./handlers/tick.mjs] }\n',
      'handlers/tick.mjs': `import { defineTool } from 'patchcord';
setInterval(() => {}, 1000);
export const tick = defineTool({ name: 'tick', description: 'ticks', run: () => 'tock' });
`,
      'package.json': '{ "name": "patchcord", "type": "module", "exports": "./built/src/index.js" }',
    });
    emitModules(folder.at('built'), ['src/cli.ts', 'src/index.ts']);
    symlinkSync(fileURLToPath(new URL('../node_modules', import.meta.url)), folder.at('node_modules'));
    const args = [folder.at('built/src/cli.js'), 'check', folder.at('agents.yaml')];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let out = '';
    child.stdout.on('data', (data) => {
      out += data;
    });
    expect(await once(child, 'close')).toEqual([0, null]);
    expect(out).toContain('tick');
  });
});
