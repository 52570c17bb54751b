/** Where a server is and how it is spoken to: one of the two forms of the agents file. */
export type McpAddress =
  | {
      readonly type: 'stdio';
      readonly command: string;
      readonly args: readonly string[];
      readonly env: Readonly<Record<string, string>>;
      /** Relative to the agents file; undefined: its folder. */
      readonly cwd: string | undefined;
    }
  | { readonly type: 'http'; readonly url: string; readonly headers: Readonly<Record<string, string>> };
