// Bytes through Supabase's official client, which itself speaks JSON only: a `fetch` for it that sends the
// argument `octets` (base64) of a call as the body's bytes, and hands the answer's bytes back as base64.

export async function octetFetch(url, init) {
  const call = init.body ? JSON.parse(init.body) : undefined;
  if (typeof call?.octets !== 'string') {
    return fetch(url, init);
  }
  const headers = new Headers(init.headers);
  headers.set('Content-Type', 'application/octet-stream');
  headers.set('Accept', 'application/octet-stream');
  const answer = await fetch(url, { ...init, headers, body: Buffer.from(call.octets, 'base64') });
  if (!answer.ok) {
    return answer;
  }
  if (answer.headers.get('content-type') !== 'application/octet-stream') {
    throw new Error(`not bytes, but ${answer.headers.get('content-type')}`);
  }
  const bytes = Buffer.from(await answer.arrayBuffer());
  return new Response(JSON.stringify(bytes.toString('base64')), { status: answer.status });
}
