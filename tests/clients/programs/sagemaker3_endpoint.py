"""SDK 3.x of SageMaker: a model, a configuration and an endpoint are created, invoked and deleted.

Takes the ARN of a role, and the id of a language model that the catalogue has.
"""

import json
import sys

from sagemaker.core.resources import Endpoint, EndpointConfig, Model
from sagemaker.core.shapes import ContainerDefinition, ProductionVariant

ROLE, MODEL = sys.argv[1:]
IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/djl-inference:0.36.0-lmi20.0.0-cu128-v1.0"


def main() -> None:
    container = ContainerDefinition(image=IMAGE, environment={"HF_MODEL_ID": MODEL})
    model = Model.create(model_name="three", primary_container=container, execution_role_arn=ROLE)
    variant = ProductionVariant(
        variant_name="AllTraffic", model_name="three", initial_instance_count=1, instance_type="ml.g5.xlarge"
    )
    config = EndpointConfig.create(endpoint_config_name="three", production_variants=[variant])
    endpoint = Endpoint.create(endpoint_name="three", endpoint_config_name="three")
    endpoint.wait_for_status("InService")
    print("status", endpoint.endpoint_status)
    body = json.dumps({"inputs": "The weather today", "parameters": {"max_new_tokens": 4}})
    answer = endpoint.invoke(body=body, content_type="application/json")
    print("text", bool(json.loads(answer.body.read())["generated_text"]))
    endpoint.delete()
    config.delete()
    model.delete()
    print("deleted")


if __name__ == "__main__":
    main()
