// The calls of each Node SDK, as its documentation shows them.  All name the provider's address
// themselves (what a preload is for), except the rows that say `base URL`.
const STUB = process.env.STUB_URL;
const PROMPT = 'Tell me about the harbour in winter.';
const messages = [{ role: 'user', content: PROMPT }];
const OPENAI = 'gpt-6-luna';
const CLAUDE = 'claude-haiku-5-5';
const GEMINI = 'gemini-3.8-flash';
const key = (name) => process.env[name + '_API_KEY'];

const openaiRow = (make, path, body) => {
  const call = (ask, more) => {
    const client = make();
    const resource = path.split('.').reduce((at, name) => at[name], client);
    return resource.create({ ...body(ask), ...more }, { signal: ask.signal });
  };
  return { async: (ask) => call(ask, {}), stream: (ask) => call(ask, { stream: true }) };
};

const post = (ask, stream) => ({
  method: 'POST',
  headers: { authorization: `Bearer ${key('OPENAI')}`, 'content-type': 'application/json' },
  body: JSON.stringify({
    model: OPENAI,
    messages,
    ...(ask.cap ? { max_completion_tokens: ask.cap } : {}),
    ...(stream ? { stream: true } : {}),
  }),
  signal: ask.signal,
});

async function checked(response) {
  if (response.status === 200) return response;
  throw Object.assign(new Error(await response.text()), { status: response.status });
}

async function* textOf(stream) {
  for await (const piece of stream) yield piece;
}

export const SDKS = {
  async openai() {
    const { default: OpenAI } = await import('openai');
    const named = () => new OpenAI({ baseURL: STUB + '/v1' });
    const capped = (name) => (ask) => (ask.cap ? { [name]: ask.cap } : {});
    const chat = (ask) => ({ model: OPENAI, messages, ...capped('max_completion_tokens')(ask) });
    const responses = (ask) => ({ model: OPENAI, input: PROMPT, ...capped('max_output_tokens')(ask) });
    return {
      chat: openaiRow(named, 'chat.completions', chat),
      responses: openaiRow(named, 'responses', responses),
      'chat, by base URL': openaiRow(() => new OpenAI(), 'chat.completions', chat),
    };
  },
  async '@anthropic-ai/sdk'() {
    const { default: Anthropic } = await import('@anthropic-ai/sdk');
    const body = (ask) => ({ model: CLAUDE, messages, max_tokens: ask.cap ?? 400 });
    return {
      messages: openaiRow(() => new Anthropic({ baseURL: STUB }), 'messages', body),
      'messages, by base URL': openaiRow(() => new Anthropic(), 'messages', body),
    };
  },
  async '@google/genai'() {
    const { GoogleGenAI } = await import('@google/genai');
    const call = (ask) => [
      new GoogleGenAI({ apiKey: key('GEMINI'), httpOptions: { baseUrl: STUB } }).models,
      {
        model: GEMINI,
        contents: PROMPT,
        config: { abortSignal: ask.signal, ...(ask.cap ? { maxOutputTokens: ask.cap } : {}) },
      },
    ];
    return {
      generateContent: {
        async: (ask) => ((models, body) => models.generateContent(body))(...call(ask)),
        stream: (ask) => ((models, body) => models.generateContentStream(body))(...call(ask)),
      },
    };
  },
  async ai() {
    const { generateText, streamText } = await import('ai');
    const { createOpenAI } = await import('@ai-sdk/openai');
    const { createAnthropic } = await import('@ai-sdk/anthropic');
    const { createGoogleGenerativeAI } = await import('@ai-sdk/google');
    const row = (model, least) => {
      const options = (ask) => ({
        model: model(),
        prompt: PROMPT,
        abortSignal: ask.signal,
        ...(ask.cap || least ? { maxOutputTokens: ask.cap ?? least } : {}),
      });
      return {
        async: (ask) => generateText(options(ask)),
        async *stream(ask) {
          let failed;
          const onError = ({ error }) => (failed = error);
          yield* streamText({ ...options(ask), onError }).textStream;
          if (failed) throw failed;
        },
      };
    };
    return {
      openai: row(() => createOpenAI({ baseURL: STUB + '/v1' })(OPENAI)),
      anthropic: row(() => createAnthropic({ baseURL: STUB + '/v1' })(CLAUDE), 400),
      google: row(() => createGoogleGenerativeAI({ baseURL: STUB + '/v1beta', apiKey: key('GEMINI') })(GEMINI)),
    };
  },
  async '@langchain/openai'() {
    const { ChatOpenAI } = await import('@langchain/openai');
    const model = (ask) =>
      new ChatOpenAI({ model: OPENAI, maxTokens: ask.cap ?? undefined,
                       configuration: { baseURL: STUB + '/v1' } }); // prettier-ignore
    return {
      ChatOpenAI: {
        async: (ask) => model(ask).invoke(PROMPT, { signal: ask.signal }),
        stream: (ask) => model(ask).stream(PROMPT, { signal: ask.signal }),
      },
    };
  },
  async '@langchain/anthropic'() {
    const { ChatAnthropic } = await import('@langchain/anthropic');
    const model = (ask) =>
      new ChatAnthropic({ model: CLAUDE, maxTokens: ask.cap ?? 400, anthropicApiUrl: STUB });
    return {
      ChatAnthropic: {
        async: (ask) => model(ask).invoke(PROMPT, { signal: ask.signal }),
        stream: (ask) => model(ask).stream(PROMPT, { signal: ask.signal }),
      },
    };
  },
  async axios() {
    const { default: axios } = await import('axios');
    const call = (ask, stream) => {
      const { body, headers, signal } = post(ask, stream);
      const more = stream ? { responseType: 'stream' } : {};
      return axios.post(STUB + '/v1/chat/completions', body, { headers, signal, ...more });
    };
    return {
      chat: {
        async: (ask) => call(ask, false),
        async *stream(ask) {
          const answer = await call(ask, true).catch(async (error) => {
            if (!error.response) throw error;
            let words = '';
            for await (const piece of error.response.data) words += piece;
            throw Object.assign(new Error(words), { status: error.response.status });
          });
          yield* textOf(answer.data);
        },
      },
    };
  },
  async fetch() {
    const call = async (ask, stream) =>
      checked(await fetch(STUB + '/v1/chat/completions', post(ask, stream)));
    return {
      chat: {
        async: async (ask) => (await call(ask, false)).json(),
        async *stream(ask) {
          yield* textOf((await call(ask, true)).body);
        },
      },
    };
  },
};
