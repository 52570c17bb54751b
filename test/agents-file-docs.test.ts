import { readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { agentSchema } from '../src/agents-file/agent-schema.ts';
import { agentsJsonSchema, agentsJsonSchemaText } from '../src/agents-file/json-schema.ts';
import { isNumberPattern } from '../src/agents-file/numbers.ts';
import { agentsFileSchema } from '../src/agents-file/schema.ts';
import { BUILT_IN_VARIABLES } from '../src/agents-file/template.ts';
import { readAgentsFile } from '../src/agents-file.ts';
import { hookUrl } from '../src/hooks/fields.ts';
import { isSecret } from '../src/hooks/signature.ts';
import { HOOK_SECRET, handlerModule, makeFolder, wavFile } from './support/agents-folder.ts';

function read(path: string): string {
  return readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
}

const PAGE = read('docs/agents.md');
const EXAMPLES = [...PAGE.matchAll(/```yaml\n(.*?)```/gs)].map(([, text = '']) => text);
const [SMALL = '', , WHOLE = ''] = EXAMPLES;

/** What the cells of the first column of a table name, of the table below this header. */
function firstColumn(header: string): string[] {
  const lines = PAGE.split('\n');
  const start = lines.indexOf(header) + 2;
  const rows = lines.slice(
    start,
    lines.findIndex((line, i) => i >= start && !line.startsWith('|')),
  );
  return rows.flatMap((row) =>
    [...(row.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)].map(([, name = '']) => name),
  );
}

describe('docs/agents.md', () => {
  it('has an example with everything that is a good agents file', async () => {
    using folder = makeFolder({
      'agents.yaml': WHOLE,
      'prompts/booking.md': 'You take reservations for {{business}}. The guest is {{guest}}.',
      'sounds/typing.wav': wavFile(16_000),
      'sounds/moment.wav': wavFile(8000),
      'sounds/moment-de.wav': wavFile(8000),
      'handlers/booking.mjs': handlerModule('book_table'),
    });
    const env = { HOOK_SECRET, ORDERS_TOKEN: 'o', CRM_KEY: 'c' };
    const file = await readAgentsFile(folder.at('agents.yaml'), env, {
      providers: [
        { name: 'openai', lacks: undefined },
        { name: 'gemini', lacks: undefined },
      ],
    });
    expect([...file.agents.keys()]).toEqual(['booking', 'message']);
    expect(file.numbers).toHaveLength(4);
  });

  it('shows every setting of the file and of an agent in that example', () => {
    const example: { agents: Record<string, object> } = parse(WHOLE);
    const shown = Object.values(example.agents).flatMap((agent) => Object.keys(agent));
    expect([...new Set(shown)].sort()).toEqual(Object.keys(agentSchema.shape).sort());
    const sections = Object.keys(agentsFileSchema.shape).filter((key) => key !== '$schema');
    expect(Object.keys(example).sort()).toEqual(sections.sort());
  });

  it('has an example that is as small as a good file can be', async () => {
    using folder = makeFolder({ 'agents.yaml': SMALL });
    expect((await readAgentsFile(folder.at('agents.yaml'), {})).agents.size).toBe(1);
  });

  it('says what every setting of an agent means, and knows no other', () => {
    expect(firstColumn('| key | meaning | default |')).toEqual(Object.keys(agentSchema.shape));
  });

  it('says what every variable stands for that the bridge fills in', () => {
    const named = firstColumn('| variable | value |').map((name) => name.replace(/[{}]/g, ''));
    expect(named).toEqual([...BUILT_IN_VARIABLES]);
  });
});

describe('docs/agents.schema.json', () => {
  const ajv = new Ajv({ strict: true, allowUnionTypes: true, strictTypes: false, allErrors: true });

  it('is made from the schema that checks the file', async () => {
    // Made anew by `npx vitest run test/agents-file-docs.test.ts --update`.
    await expect(agentsJsonSchemaText()).toMatchFileSnapshot('../docs/agents.schema.json');
  });

  it('lets the examples of the page pass', () => {
    const validate = ajv.compile(agentsJsonSchema());
    for (const text of [SMALL, WHOLE]) {
      validate(parse(text));
      expect(validate.errors).toBeNull();
    }
  });

  it.each([
    ['an unknown key', 'agents: { a: { greting: Hi } }'],
    ['a word that is none of a few', 'agents: { a: { audio: loud } }'],
    ['a number without quotes', 'agents: { a: {} }\nnumbers: [{ number: +15550100, agent: a }]'],
    ['a filler that is true', 'agents: { a: { filler: true } }'],
    ['a transfer to nobody', 'agents: { a: { tools: [{ name: transfer_call }] } }'],
    ['a last resort of two kinds', 'agents: { a: { lastResort: { say: Bye, message: Bye } } }'],
    ['a time that is too short', 'agents: { a: { failover: { answerSeconds: 0.2 } } }'],
    ['a filler of no clip at all', 'agents: { a: { failover: { filler: { clip: 3 } } } }'],
    ['no agents', 'numbers: []'],
  ])('tells an editor of %s', (_, text) => {
    expect(ajv.compile(agentsJsonSchema())(parse(text))).toBe(false);
  });

  it.each([
    'failover: { connectSeconds: 0.5, hedgeSeconds: 0, answerSeconds: 0, filler: false }',
    'failover: { filler: { afterMs: 300 } }',
    'failover: { filler: { clip: sounds/a.wav } }',
    'failover: { filler: { clip: { de-AT: a.wav, default: b.wav } } }',
    'lastResort: { message: Speak now., language: de, maxSeconds: 30 }',
  ])('lets an agent pass with %s', (line) => {
    const validate = ajv.compile(agentsJsonSchema());
    validate(parse(`agents: { a: { ${line} } }`));
    expect(validate.errors).toBeNull();
  });

  describe('has patterns that let pass what the file lets pass', () => {
    const validate = ajv.compile(agentsJsonSchema());
    const passes = (text: string): boolean => validate(parse(text));
    const number = (text: string): string =>
      `agents: { a: {} }\nnumbers: [{ number: ${JSON.stringify(text)}, agent: a }]`;
    const hook = (url: string, secret: string): string =>
      `agents: { a: {} }\nwebhooks: { end: { url: ${JSON.stringify(url)}, secret: ${JSON.stringify(secret)} } }`;

    it.each([
      '*',
      '+15550100',
      '15550100*',
      '+1 (555) 01-00',
      '+49 30*',
      '0*',
      'sip:desk@example.com',
      'SIPS:x',
      'client:*',
      'client:anna*',
      'sip:',
      'client:',
      'sip:a*b',
      '+',
      '++1',
      'tel:+1555',
      '1 x',
      '',
      ' +1555',
      'sip:a b',
    ])('number %j', (text) => {
      expect(passes(number(text))).toBe(isNumberPattern(text));
    });

    it.each([
      'https://example.com/x',
      'https://example.com',
      'http://localhost:8080/x',
      'http://127.0.0.1/x',
      'http://[::1]:9/x',
      'http://localhost',
      'http://example.com/x',
      'http://localhost.example.com/',
      'ftp://example.com/',
      'example.com',
      '',
    ])('url %j', (url) => {
      expect(passes(hook(url, HOOK_SECRET))).toBe(hookUrl(url) !== undefined);
    });

    it.each([
      HOOK_SECRET,
      `${HOOK_SECRET} ${HOOK_SECRET}`,
      ` ${HOOK_SECRET}\n`,
      ...[24, 25, 26, 63, 64].map((bytes) => `whsec_${Buffer.alloc(bytes, 200).toString('base64')}`),
      'whsec_short',
      'secret',
      HOOK_SECRET.slice(1),
      '',
    ])('secret %j', (secret) => {
      expect(passes(hook('https://example.com/', secret))).toBe(isSecret(secret));
    });

    it('whatever comes from the environment', () => {
      expect(passes(hook(`\${HOOK_URL}`, `\${HOOK_SECRET}`))).toBe(true);
      expect(passes(hook(`http://\${HOST}/x`, `\${NEW} \${OLD}`))).toBe(true);
    });
  });

  it.each(Object.entries(agentSchema.shape))('explains %s to whoever points at it', (_, field) => {
    expect(field.description ?? field.unwrap().description).toMatch(/.{10}\.$/);
  });
});
