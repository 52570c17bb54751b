import { isRecord } from '../is-record.ts';
import type { Path } from './document.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** `${NAME}`, or `$${` for a literal `${`, or a `${` that is neither. */
const PLACE = /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$\{/g;

/** What is wrong with the use of one variable of the environment. */
export interface EnvironmentMistake {
  readonly path: Path;
  readonly piece: string;
  readonly text: string;
}

/** A copy of `value` in which every text has its variables of the environment filled in. */
export function fillEnvironment(
  value: unknown,
  path: Path,
  env: Env,
  onMistake: (mistake: EnvironmentMistake) => void,
): unknown {
  if (typeof value === 'string') return fillText(value, path, env, onMistake);
  if (Array.isArray(value))
    return value.map((item, i) => fillEnvironment(item, [...path, i], env, onMistake));
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, fillEnvironment(item, [...path, key], env, onMistake)]),
  );
}

function fillText(
  text: string,
  path: Path,
  env: Env,
  onMistake: (mistake: EnvironmentMistake) => void,
): string {
  return text.replace(PLACE, (piece, name: string | undefined) => {
    if (piece === '$${') return '${';
    if (name === undefined) {
      onMistake({
        path,
        piece,
        text: `found a \${ that is no \${NAME}, wanted one, or $\${ for the characters`,
      });
      return '';
    }
    const found = env[name];
    if (found !== undefined && found !== '') return found;
    onMistake({ path, piece, text: `found nothing in the environment for \${${name}}, wanted a value` });
    return '';
  });
}
