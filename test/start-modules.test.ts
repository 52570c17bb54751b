import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BuiltCommands, type Loaded, ownIn, packagesIn, SERVE } from './support/loaded-modules.ts';

/** What a start costs is mostly what it loads. */

const TWILIO = { TWILIO_ACCOUNT_SID: `AC${'0'.repeat(32)}`, TWILIO_AUTH_TOKEN: 'secret' };
const AGENTS = `
agents:
  one:
    instructions: You answer.
    tools: [end_call, look_up]
tools:
  hosts: [example.com]
  http:
    look_up:
      description: Looks something up.
      parameters: { type: object, properties: { id: { type: string } } }
      method: GET
      url: "https://example.com/{id}"
`;
/** Nothing of these is needed without an agents file, operators, recordings or Nova. */
const HEAVY = [
  '@aws-sdk/client-bedrock-runtime',
  '@modelcontextprotocol/sdk',
  'ajv',
  'saxes',
  'twilio',
  'xmlbuilder',
  'yaml',
  'zod',
];

describe('patchcord', { timeout: 60_000 }, () => {
  let built: BuiltCommands;

  beforeAll(() => {
    built = new BuiltCommands();
  }, 60_000);

  afterAll(() => built[Symbol.dispose]());

  function heavyIn(loaded: readonly string[]): readonly string[] {
    return packagesIn(loaded).filter((name) => HEAVY.includes(name));
  }

  const all = ({ before, after }: Loaded): readonly string[] => [...before, ...after];
  const from = (loaded: readonly string[], pattern: RegExp): readonly string[] =>
    ownIn(loaded).filter((path) => pattern.test(path));

  it('serve without anything configured has all carriers, the line check, and nothing heavy', async () => {
    const loaded = all(await built.loadedBy(SERVE));
    expect(heavyIn(loaded)).toEqual([]);
    expect(from(loaded, /^carriers\/\w+\.js$/).toSorted()).toEqual([
      'carriers/plivo.js',
      'carriers/telnyx.js',
      'carriers/twilio.js',
    ]);
    expect(from(loaded, /^src\/providers\/(openai|gemini|nova)/)).toEqual([]);
    expect(from(loaded, /^src\/providers\/local\.js$/)).toHaveLength(1);
    // Otherwise the list would be empty, and prove nothing.
    expect(packagesIn(loaded)).toEqual(expect.arrayContaining(['express', 'pino', 'ws']));
  });

  it('serve with Twilio and OpenAI has these two, and nothing heavy', async () => {
    const loaded = all(await built.loadedBy(SERVE, { ...TWILIO, OPENAI_API_KEY: 'sk-x' }));
    expect(heavyIn(loaded)).toEqual([]);
    expect(from(loaded, /^carriers\/(telnyx|plivo)/)).toEqual([]);
    expect(from(loaded, /^src\/providers\/(local|gemini|nova)/)).toEqual([]);
    expect(from(loaded, /^src\/(agents-file\/(load|schema)|recording\/|hooks\/|calls-api\/shapes)/)).toEqual(
      [],
    );
    expect(from(loaded, /^(carriers\/twilio|src\/providers\/openai)\.js$/)).toHaveLength(2);
  });

  it('serve with operators loads what they ask about calls with when the port is open', async () => {
    const env = { ...TWILIO, OPENAI_API_KEY: 'sk-x', API_TOKEN: 'a-token-of-operators' };
    const { before, after } = await built.loadedBy(SERVE, env);
    expect(heavyIn(before)).toEqual([]);
    expect(heavyIn(after)).toEqual(['zod']);
    expect(from(after, /^src\/calls-api\.js$/)).toHaveLength(1);
  });

  it('serve with Nova loads the SDK of AWS when the port is open, before a call needs it', async () => {
    const { before, after } = await built.loadedBy(SERVE, {
      ...TWILIO,
      NOVA_MODEL: 'm',
      AWS_REGION: 'us-east-1',
    });
    expect(heavyIn(before)).toEqual([]);
    expect(heavyIn(after)).toEqual(['@aws-sdk/client-bedrock-runtime']);
  });

  it('serve with everything has no MCP without servers, and nothing of simulators and replays', async () => {
    const loaded = all(
      await built.loadedBy(SERVE, {
        ...TWILIO,
        TELNYX_PUBLIC_KEY: '11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=',
        PLIVO_AUTH_ID: `MA${'X'.repeat(18)}`,
        PLIVO_AUTH_TOKEN: 'b'.repeat(40),
        PROVIDER: 'openai,gemini,nova,local',
        OPENAI_API_KEY: 'sk-x',
        GEMINI_API_KEY: 'AIza',
        AWS_REGION: 'us-east-1',
        API_TOKEN: 'a-token-of-operators',
        RECORDING: 'bridge',
        AGENTS_FILE: built.write('agents.yaml', AGENTS),
      }),
    );
    // A service that is told to stop at once may do so before it has come to the SDK of AWS.
    const heavy = heavyIn(loaded).filter((name) => !name.startsWith('@aws-sdk/'));
    expect(heavy).toEqual(['ajv', 'yaml', 'zod']);
    expect(from(loaded, /^src\/(sim|replay|inspect|testing)\//)).toEqual([]);
    expect(from(loaded, /^src\/commands\//).toSorted()).toEqual([
      'src/commands/command.js',
      'src/commands/serve.js',
    ]);
  });

  it('says what commands there are without loading one', async () => {
    const { before } = await built.loadedBy(['--help']);
    expect(packagesIn(before)).toEqual([]);
    expect(ownIn(before).toSorted()).toEqual(['src/cli.js', 'src/errors.js', 'src/package-file.js']);
  });
});
