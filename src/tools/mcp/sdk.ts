/** What is used of the SDK. Loaded when the first server is connected: a bridge without any does not pay for it. */
export async function loadSdk() {
  const [client, http, stdio, framing, types] = await Promise.all([
    import('@modelcontextprotocol/sdk/client/index.js'),
    import('@modelcontextprotocol/sdk/client/streamableHttp.js'),
    import('@modelcontextprotocol/sdk/client/stdio.js'),
    import('@modelcontextprotocol/sdk/shared/stdio.js'),
    import('@modelcontextprotocol/sdk/types.js'),
  ]);
  return {
    Client: client.Client,
    StreamableHTTPClientTransport: http.StreamableHTTPClientTransport,
    StreamableHTTPError: http.StreamableHTTPError,
    getDefaultEnvironment: stdio.getDefaultEnvironment,
    deserializeMessage: framing.deserializeMessage,
    serializeMessage: framing.serializeMessage,
    McpError: types.McpError,
    ToolListChangedNotificationSchema: types.ToolListChangedNotificationSchema,
  };
}

/** The loaded SDK. */
export type Sdk = Awaited<ReturnType<typeof loadSdk>>;
