// The JavaScript SDK v3, told nothing but the environment: S3, Converse, ConverseStream, and CloudWatch's CBOR.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [folder, model] = process.argv.slice(2);
const require = createRequire(pathToFileURL(`${folder}/package.json`));
const { BedrockRuntimeClient, ConverseCommand, ConverseStreamCommand } = require("@aws-sdk/client-bedrock-runtime");
const { CloudWatchClient, ListDashboardsCommand } = require("@aws-sdk/client-cloudwatch");
const { S3Client, CreateBucketCommand, PutObjectCommand, GetObjectCommand } = require("@aws-sdk/client-s3");

const s3 = new S3Client({ forcePathStyle: true });
const where = { Bucket: "from-node", Key: "日本/a b.txt" };
await s3.send(new CreateBucketCommand({ Bucket: where.Bucket }));
await s3.send(new PutObjectCommand({ ...where, Body: "こんにちは", Metadata: { from: "node" } }));
const stored = await s3.send(new GetObjectCommand(where));

const bedrock = new BedrockRuntimeClient({ requestHandler: { requestTimeout: 60000 } });
const asked = {
  modelId: model,
  messages: [{ role: "user", content: [{ text: "What is 2?" }] }],
  inferenceConfig: { maxTokens: 16, temperature: 0 },
};
const whole = await bedrock.send(new ConverseCommand(asked));
const kinds = [];
let streamed = "";
for await (const event of (await bedrock.send(new ConverseStreamCommand(asked))).stream) {
  kinds.push(Object.keys(event)[0]);
  streamed += event.contentBlockDelta?.delta.text ?? "";
}
const refused = await new CloudWatchClient().send(new ListDashboardsCommand({})).catch((error) => error);

console.log(
  JSON.stringify({
    object: await stored.Body.transformToString(),
    metadata: stored.Metadata,
    whole: whole.output.message.content[0].text,
    streamed,
    first: kinds[0],
    last: kinds.at(-1),
    cloudwatch: { name: refused.name, message: refused.message, status: refused.$metadata?.httpStatusCode },
  }),
);
