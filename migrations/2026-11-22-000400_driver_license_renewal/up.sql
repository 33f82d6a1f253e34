-- The first operation of the office. `cpf` and `cnh` are formats of ours: check digits and all.
INSERT INTO operations (id, name, description, price_sats, form_schema) VALUES (
    1,
    'driver_license_renewal',
    'Renewal of a Brazilian driver''s licence (renovação da CNH).',
    50000,
    '{
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Driver''s licence renewal",
        "description": "What the office needs to renew a driver''s licence (renovação da CNH).",
        "type": "object",
        "properties": {
            "cpf": {
                "title": "CPF",
                "description": "Taxpayer number (Cadastro de Pessoas Físicas): 11 digits, dots and dash allowed.",
                "type": "string",
                "format": "cpf"
            },
            "cnh_number": {
                "title": "CNH registration number",
                "description": "Number of the driver''s licence (número de registro da CNH): 11 digits.",
                "type": "string",
                "format": "cnh"
            },
            "cnh_mirror": {
                "title": "CNH mirror number",
                "description": "Number printed on the licence''s form (número do espelho da CNH): 9 to 11 digits.",
                "type": "string",
                "pattern": "^[0-9]{9,11}$"
            }
        },
        "required": ["cpf", "cnh_number", "cnh_mirror"],
        "additionalProperties": false
    }'
);
