import { join } from 'node:path';
import { type AgentsFile, endHooksOf } from './agents-file.ts';
import { BridgeError } from './errors.ts';
import { isMissing } from './file-errors.ts';
import type { Log } from './log.ts';
import { makeFolder, tryToWrite } from './writable-folder.ts';

export interface DataDirUse {
  readonly log: Log;
  /** It is made when there is none. */
  readonly folder: string;
  /** Folders in it that an earlier run may have left, as somebody else. */
  readonly inside: readonly string[];
  readonly file: AgentsFile;
}

/**
 * Tries whether the data folder can be written, before a call needs it. Rejects with BAD_CONFIG when it cannot and the
 * file has something that must outlive a restart, a budget of a day or a webhook at the end; otherwise that is logged.
 */
export async function checkDataDir({ log, folder, inside, file }: DataDirUse): Promise<void> {
  try {
    await makeFolder(folder);
    await tryToWrite(folder);
    for (const name of inside) await tryToWrite(join(folder, name)).catch(unlessMissing);
  } catch (cause) {
    const use = useOf(file);
    if (use !== undefined) {
      const message = `DATA_DIR: found a folder that cannot be written (${String(cause)}), wanted one that can because of ${use}`;
      throw new BridgeError('BAD_CONFIG', message, { cause });
    }
    log.error(
      { err: cause, folder },
      'the data folder (DATA_DIR) cannot be written: what is spent is forgotten at the next restart',
    );
  }
}

function unlessMissing(error: unknown): void {
  if (!isMissing(error)) throw error;
}

/** What of the file has to outlive a restart. */
function useOf(file: AgentsFile): string | undefined {
  const { budget, numbers } = file;
  if (budget?.perDay !== undefined) return 'budget.perDay';
  if (numbers.some((entry) => entry.budget !== undefined)) return 'the budget of a number';
  return endHooksOf(file).length > 0 ? 'a webhook at the end' : undefined;
}
