import { join } from 'node:path';
import type { AudioFormat } from '../audio/format.ts';
import { hasCode } from '../file-errors.ts';
import type { RecordingFiles } from './files.ts';
import type { CallFile } from './format.ts';
import { partialName } from './names.ts';
import { OutFile } from './out-file.ts';
import { callFileText } from './write.ts';

/** By it others know whether somebody still writes. */
export const OWNER_FILE = 'owner.json';

export interface CallFolderOptions {
  /** The recordings folder, which is there. */
  readonly parent: string;
  /** By `newRecordingName`. */
  readonly name: string;
  readonly files: RecordingFiles;
  /** The text of owner.json. */
  readonly owner: string;
}

/** The folder of a recording while it is written: `<name>.partial`, and `<name>` in the end. Rejects with the errors of the file system. */
export class CallFolder {
  readonly #options: CallFolderOptions;
  readonly #path: string;
  readonly #opened: OutFile[] = [];
  #drafts = 0;
  #isMade = false;

  constructor(options: CallFolderOptions) {
    this.#options = options;
    this.#path = join(options.parent, partialName(options.name));
  }

  /** Whether there is anything on disk. */
  get isMade(): boolean {
    return this.#isMade;
  }

  /** A file that is made when it is first written to. */
  text(name: string): OutFile {
    return this.#add(new OutFile(join(this.#path, name), this.#options.files));
  }

  wav(name: string, format: AudioFormat, channels: number): OutFile {
    return this.#add(new OutFile(join(this.#path, name), this.#options.files, { ...format, channels }));
  }

  #add(file: OutFile): OutFile {
    this.#opened.push(file);
    return file;
  }

  /** Makes the folder; there is none of its name. */
  async make(epochMs: number): Promise<void> {
    const { files, owner } = this.#options;
    await files.makeFolder(this.#path);
    this.#isMade = true;
    await this.#put(OWNER_FILE, owner, false);
    await this.touch(epochMs);
  }

  /** Tells others that somebody still writes. */
  async touch(epochMs: number): Promise<void> {
    await this.#options.files.touch(join(this.#path, OWNER_FILE), epochMs);
  }

  /** call.json is the old one or the new one at any time. */
  async describe(call: CallFile): Promise<void> {
    this.#drafts += 1;
    const draft = `.call.json.${this.#drafts}.tmp`;
    await this.#put(draft, callFileText(call), call.end !== undefined);
    await this.#options.files.rename(join(this.#path, draft), join(this.#path, 'call.json'));
  }

  /** Finishes and syncs all files; whatever happens, they are closed afterwards. */
  async closeFiles(): Promise<void> {
    const closed = await Promise.allSettled(this.#opened.map((file) => file.close()));
    for (const result of closed) if (result.status === 'rejected') throw result.reason;
  }

  /** The folder gets its name, with this last description. */
  async finish(call: CallFile): Promise<void> {
    const { files, parent, name } = this.#options;
    await this.describe(call);
    await files.remove(join(this.#path, OWNER_FILE));
    await files.syncFolder(this.#path);
    // Moving onto an empty folder would not be refused.
    if (await files.exists(join(parent, name))) throw new Error('there is a recording of this name');
    await files.rename(this.#path, join(parent, name));
    await files.syncFolder(parent);
  }

  async #put(name: string, text: string, isLast: boolean): Promise<void> {
    const file = await this.#options.files.create(join(this.#path, name));
    try {
      await file.write(Buffer.from(text), 0);
      if (isLast) await file.sync();
    } finally {
      await file.close();
    }
  }
}

/** Whether an error of the file system says that nothing more fits. */
export function isFull(error: unknown): boolean {
  return hasCode(error, 'ENOSPC') || hasCode(error, 'EDQUOT');
}
