import { describe, expect, it } from 'vitest';
import { agentsJsonSchemaText } from '../src/agents-file/json-schema.ts';
import { check } from '../src/commands/check.ts';
import type { Terminal } from '../src/commands/command.ts';
import type { Env } from '../src/config.ts';
import { handlerModule, makeFolder } from './support/agents-folder.ts';

interface Outcome {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

/** Runs `patchcord check` in a folder with these files; `agents.yaml` is the one that is checked. */
async function run(
  files: Readonly<Record<string, string>>,
  argv: readonly string[] = [],
  env: Env = {},
): Promise<Outcome> {
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
`;
const FILES = { 'agents.yaml': GOOD, 'handlers/book.mjs': handlerModule('book_table') };

describe('patchcord check', () => {
  it('says what each number will do, and what is probably not meant', async () => {
    expect(await run(FILES)).toEqual({
      status: 0,
      err: '',
      out: `+15550100        any carrier -> booking: "Hello {{caller_name}}, here is Trattoria and this is a long …", 20 EUR a day
+49*             telnyx      -> booking: "Hello {{caller_name}}, here is Gasthof and this is a long gr…"
*                any carrier -> waiter: waits for the caller

agent booking
  providers     openai gpt-realtime-2.1 (lacks OPENAI_API_KEY), then local
  functions     end_call, transfer_call (reception, boss), book_table, order_status, crm/find_*
  language      de
  audio         wideband
  recording     from the first second
  longest call  900 s
  budget        1.5 EUR a call
  last resort   hang-up

agent waiter
  providers     local
  functions     none
  language      as the model decides
  audio         wideband
  recording     no
  longest call  3600 s
  budget        none
  last resort   say

agent lonely
  providers     openai (lacks OPENAI_API_KEY)
  functions     end_call, current_time
  language      as the model decides
  audio         wideband
  recording     no
  longest call  3600 s
  budget        none
  last resort   say

note: agent lonely: no number leads to it; only a start webhook or POST /calls can
note: function forgotten: no agent lists it
note: MCP server idle: no agent lists a function of it
note: prices: openai has none, so that what it costs is in no budget
note: agent lonely: none of its providers can be used in this environment
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
    expect(out).not.toContain('note:');
  });

  it('notes that the environment itself is not good, and checks the file all the same', async () => {
    const { status, out } = await run({ 'agents.yaml': 'agents: { a: {} }' }, [], { PORT: 'x' });
    expect(status).toBe(0);
    expect(out).toContain('note: environment: PORT: found "x", wanted a whole number from 0 to 65535');
  });

  it('prints the same as JSON', async () => {
    const { status, out } = await run(FILES, ['--json']);
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
          recording: true,
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
    const { status, err } = await run({ ...FILES, 'handlers/more.mjs': 'throw new Error("out of order");' });
    expect(status).toBe(2);
    expect(err).toMatch(/^agents\.yaml:24:13 tools\.handlers: .*more\.mjs.*out of order/);
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
