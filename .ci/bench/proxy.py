#!/usr/bin/env python3
"""A proxy before a local AWS emulator: counts calls by operation, denies or throttles some, and can stand in for what
the emulator does not know.

usage: proxy.py PORT UPSTREAM [--deny secretsmanager:ListSecrets,..] [--throttle N] [--tolerate] [--corpus FILE --function ARN]

With a corpus it answers for Secrets Manager itself, from the cases of the file.

GET /_counts answers the counts as JSON, /_unknown the operations that the emulator did not know, /_reset forgets both,
/_deny?ops=a,b replaces the list of denied operations.
"""
import argparse, http.client, http.server, json, re, socketserver, threading, time, urllib.parse

TARGETS = {'secretsmanager': 'secretsmanager', 'TrentService': 'kms', 'AWSEvents': 'events', 'Logs_20140328': 'logs',
           'ResourceGroupsTaggingAPI_20170126': 'tag', 'AmazonSSM': 'ssm', 'AmazonSQS': 'sqs',
           'CloudTrail_20131101': 'cloudtrail'}
HOP = {'connection', 'keep-alive', 'transfer-encoding', 'content-length', 'host', 'expect'}


def operation(method, path, headers, body):
    """`service:Operation`, as far as the request says it."""
    scope = re.search(r'Credential=[^/]+/\d+/[^/]+/([^/]+)/', headers.get('authorization', ''))
    service = scope.group(1) if scope else '?'
    target = headers.get('x-amz-target')
    if target:
        prefix, _, name = target.rpartition('.')
        return f"{TARGETS.get(prefix.split('.')[-1], service)}:{name}"
    form = urllib.parse.parse_qs(body.decode('utf-8', 'replace')) if body else {}
    form.update(urllib.parse.parse_qs(urllib.parse.urlsplit(path).query))
    if 'Action' in form:
        return f"{service}:{form['Action'][0]}"
    return f'{service}:{method} {re.sub(r"/[^/]*%3A[^/]*|/arn:[^/]*", "/ARN", urllib.parse.urlsplit(path).path)}'


class Corpus:
    """Secrets Manager, reading only, from a file of cases."""

    def __init__(self, path, function, region, account):
        now = time.time()
        self.secrets = {}
        for case in json.load(open(path))['cases']:
            name = f"bank-corpus/{case['case']}"
            arn = f'arn:aws:secretsmanager:{region}:{account}:secret:{name}-AbCdEf'
            entry = {'ARN': arn, 'Name': name, 'CreatedDate': '-400d', 'RotationLambdaARN': function,
                     'Tags': [{'Key': 'rotation_enabled', 'Value': 'true'}], **case['secret']}
            entry = {key: self.time(now, value) if key.endswith('Date') else value
                     for key, value in entry.items() if value is not None}
            made = self.time(now, case['version']) if 'version' in case else entry.get('LastRotatedDate')
            versions = [] if case.get('empty') else [
                {'VersionId': '1' * 36, 'VersionStages': ['AWSCURRENT'], 'CreatedDate': made}]
            if case.get('pending'):
                versions.append({'VersionId': '2' * 36, 'VersionStages': ['AWSPENDING'], 'CreatedDate': now - 3600})
            entry['SecretVersionsToStages'] = {it['VersionId']: it['VersionStages'] for it in versions}
            self.secrets[arn] = (entry, versions)

    @staticmethod
    def time(now, text):
        if not isinstance(text, str):
            return text
        unit = {'d': 86400, 'h': 3600, 'm': 60}
        seconds = sum(int(number) * unit[letter] for number, letter in re.findall(r'(\d+)([dhm])', text))
        return round(now + (-seconds if text.startswith('-') else seconds), 3)

    def answer(self, name, body):
        ask = json.loads(body or b'{}')
        entry, versions = next((held for held in self.secrets.values()
                                if ask.get('SecretId') in (held[0]['ARN'], held[0]['Name'])), (None, None))
        if name == 'secretsmanager:ListSecrets':
            return {'SecretList': [it for it, _ in self.secrets.values()
                                   if ask.get('IncludePlannedDeletion') or 'DeletedDate' not in it]}
        if name == 'tag:GetResources' and ask.get('ResourceTypeFilters') == ['secretsmanager:secret']:
            return {'PaginationToken': '', 'ResourceTagMappingList': [
                {'ResourceARN': it['ARN'], 'Tags': it['Tags']} for it, _ in self.secrets.values()]}
        if entry is None:
            return None
        if name == 'secretsmanager:DescribeSecret':
            described = {key: value for key, value in entry.items() if key != 'SecretVersionsToStages'}
            return {**described, 'VersionIdsToStages': entry['SecretVersionsToStages']}
        if name == 'secretsmanager:ListSecretVersionIds':
            return {'ARN': entry['ARN'], 'Name': entry['Name'], 'Versions': versions}
        if name == 'secretsmanager:GetResourcePolicy':
            return {'ARN': entry['ARN'], 'Name': entry['Name']}
        return None


class State:
    def __init__(self, args):
        self.upstream = urllib.parse.urlsplit(args.upstream)
        self.deny = set(filter(None, args.deny.split(',')))
        self.throttle, self.tolerate = args.throttle, args.tolerate
        self.corpus = Corpus(args.corpus, args.function, args.region, args.account) if args.corpus else None
        self.counts, self.unknown, self.throttled = {}, {}, 0
        self.tokens, self.at, self.lock = float(args.throttle or 0), time.monotonic(), threading.Lock()

    def take(self):
        """Lets one call through a bucket of `throttle` calls a second, or not."""
        if not self.throttle:
            return True
        now = time.monotonic()
        self.tokens = min(self.throttle, self.tokens + (now - self.at) * self.throttle)
        self.at = now
        if self.tokens < 1:
            self.throttled += 1
            return False
        self.tokens -= 1
        return True


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    local = threading.local()

    def log_message(self, *_):
        pass

    def answer(self, status, body, headers=()):
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def own(self):
        state, url = self.server.state, urllib.parse.urlsplit(self.path)
        if url.path == '/_deny':
            state.deny = set(filter(None, urllib.parse.parse_qs(url.query).get('ops', [''])[0].split(',')))
        if url.path == '/_reset':
            state.counts, state.unknown, state.throttled = {}, {}, 0
        answers = {'/_counts': dict(state.counts, **({'throttled': state.throttled} if state.throttle else {})),
                   '/_unknown': state.unknown}
        self.answer(200, json.dumps(answers.get(url.path, {})).encode(), [('Content-Type', 'application/json')])

    def refuse(self, name, code, status):
        text = f'User is not authorized to perform: {name}' if 'Denied' in code else 'Rate exceeded'
        if self.headers.get('x-amz-target') or name.startswith('lambda:'):
            body = json.dumps({'__type': code, 'message': text}).encode()
            kind = 'application/x-amz-json-1.1'
        else:
            short = code.removesuffix('Exception')
            body = f'<ErrorResponse><Error><Type>Sender</Type><Code>{short}</Code><Message>{text}</Message></Error>'
            body, kind = (body + '<RequestId>proxy</RequestId></ErrorResponse>').encode(), 'text/xml'
        self.answer(status, body, [('Content-Type', kind), ('x-amzn-errortype', code)])

    def handle_any(self):
        if self.path.startswith('/_'):
            return self.own()
        state = self.server.state
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get('content-length') or 0))
        name = operation(self.command, self.path, headers, body)
        with state.lock:
            state.counts[name] = state.counts.get(name, 0) + 1
            through = state.take()
        if not through:
            return self.refuse(name, 'ThrottlingException', 400)
        if name in state.deny:
            return self.refuse(name, 'AccessDeniedException', 400)
        if state.corpus:
            found = state.corpus.answer(name, body) if name.startswith(('secretsmanager:', 'tag:')) else None
            if found is not None:
                return self.answer(200, json.dumps(found).encode(), [('Content-Type', 'application/x-amz-json-1.1')])
        for attempt in (0, 1):
            connection = getattr(self.local, 'connection', None)
            if connection is None:
                connection = http.client.HTTPConnection(state.upstream.hostname, state.upstream.port, timeout=60)
                self.local.connection = connection
            try:
                sent = {key: value for key, value in self.headers.items() if key.lower() not in HOP}
                sent['Host'] = headers.get('host', state.upstream.netloc)
                connection.request(self.command, self.path, body=body, headers=sent)
                answer = connection.getresponse()
                text = answer.read()
                break
            except (http.client.HTTPException, OSError):
                connection.close()
                self.local.connection = None
                if attempt:
                    return self.answer(502, b'')
        if state.tolerate and (answer.status >= 500 or b'UnknownOperation' in text or b'InvalidAction' in text):
            with state.lock:
                state.unknown[name] = state.unknown.get(name, 0) + 1
            return self.answer(200, b'{}', [('Content-Type', 'application/x-amz-json-1.1')])
        kept = [(key, value) for key, value in answer.getheaders() if key.lower() not in HOP]
        self.answer(answer.status, text, kept)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = handle_any


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('port', type=int)
    parser.add_argument('upstream')
    parser.add_argument('--deny', default='')
    parser.add_argument('--throttle', type=float, default=0)
    parser.add_argument('--tolerate', action='store_true')
    parser.add_argument('--corpus')
    parser.add_argument('--function')
    parser.add_argument('--region', default='ap-southeast-2')
    parser.add_argument('--account', default='123456789012')
    args = parser.parse_args()
    server = Server(('127.0.0.1', args.port), Handler)
    server.state = State(args)
    server.serve_forever()


if __name__ == '__main__':
    main()
