import type { Tool } from '../tools.ts';

/** Functions from modules, and the files that they came from (absolute paths, sorted within each folder). */
export interface LoadedHandlers {
  readonly tools: readonly Tool[];
  readonly sources: readonly string[];
}

/**
 * Imports the functions of handler modules: single modules, or folders of them, relative to `baseDir`. Rejects with
 * one BAD_CONFIG that names every mistake.
 */
export async function loadHandlers(paths: readonly string[], baseDir: string): Promise<LoadedHandlers> {
  void paths;
  void baseDir;
  return { tools: [], sources: [] };
}
