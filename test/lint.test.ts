import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');

const BAD_CODE = `import { EventEmitter } from 'node:events';
export const e = new EventEmitter();
e.on('x', async () => { await e; });
export const a: any = 1;
async function f() {}
f();
`;

const IMPORTS: readonly (readonly [path: string, text: string, message: string])[] = [
  ['carriers/bad-import.ts', "import { Session } from '../src/session.ts';", 'a carrier knows only'],
  ['carriers/bad-neighbour.ts', "import { createTwilio } from './twilio.ts';", 'a carrier knows only'],
  ['carriers/twilio/bad-import.ts', "import { decode } from '../plivo/media.ts';", 'a carrier knows only'],
  ['src/audio/bad-import.ts', "import { ERRORS } from '../errors.ts';", 'imports nothing but'],
  ['src/providers/bad-import.ts', "import { Session } from '../session.ts';", 'a provider knows only'],
  ['src/providers/openai/bad-import.ts', "import { x } from '../local.ts';", 'a provider knows only'],
  ['src/fallback/bad-import.ts', "import { x } from '../conversation.ts';", 'knows nothing of what is said'],
  ['src/handover/bad-import.ts', "import { dial } from '../fallback/dial.ts';", 'does not depend on'],
  ['src/sim/bad-import.ts', "import { decode } from '../../carriers/twilio.ts';", 'shares no protocol code'],
  ['src/sim/phone/bad-import.ts', "import { x } from '../../carrier.ts';", 'shares no protocol code'],
  [
    'src/sim/phone/twilio/bad-import.ts',
    "import { x } from '../telnyx/dialect.ts';",
    'nor with other carriers',
  ],
  ['src/recording/bad-import.ts', "import { x } from '../replay/replay.ts';", 'a recording knows no'],
  ['src/recording/bad-carrier.ts', "import { x } from '../../carriers/twilio.ts';", 'a recording knows no'],
  ['src/bad-import.ts', "import { createTwilio } from '../carriers/twilio.ts';", 'only server.ts'],
];

const FILES = [...IMPORTS, ['src/bad-code.ts', BAD_CODE, ''] as const];
let found: readonly string[] = [];

describe('the linter', () => {
  // A configuration that is not read finds nothing, without a word: these files must be found fault with.
  beforeAll(() => {
    for (const [path, text] of FILES) writeFileSync(join(ROOT, path), `${text}\n`);
    const biome = join('node_modules', '@biomejs', 'biome', 'bin', 'biome');
    const paths = FILES.map(([path]) => path);
    const { stdout, stderr } = spawnSync(
      process.execPath,
      [biome, 'lint', '--max-diagnostics=none', '--colors=off', ...paths],
      { cwd: ROOT, encoding: 'utf8' },
    );
    found = (stdout + stderr).split(/\n(?=\S+\.ts:\d)/);
  });

  afterAll(() => {
    for (const [path] of FILES) rmSync(join(ROOT, path), { force: true });
  });

  const said = (path: string): string => found.filter((part) => part.startsWith(path)).join('\n');

  it.each(IMPORTS)('refuses the import in %s', (path, _text, message) => {
    expect(said(path)).toContain(message);
  });

  it.each(['async listener', 'noExplicitAny', 'noFloatingPromises'])('finds %s', (mistake) => {
    expect(said('src/bad-code.ts')).toContain(mistake);
  });

  it('is what the check runs', () => {
    const { scripts }: { scripts: unknown } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    expect(scripts).toMatchObject({ check: expect.stringContaining('biome ci .') });
  });
});
