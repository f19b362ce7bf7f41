-- A conversation is put together when it is asked for: a stored one would be wrong as soon as one of its messages is
-- read, relabelled or deleted, and a connector that sees only changes could not put it right.
SELECT
    thread_id AS key,
    jsonb_build_object(
        'id', thread_id, 'subject', subject, 'message_count', message_count, 'unread_count', unread_count,
        'flagged_count', flagged_count, 'first_message_date', first_message_date,
        'last_message_date', last_message_date, 'has_attachments', has_attachments,
        'labels', (SELECT coalesce(jsonb_agg(DISTINCT label), '[]') FROM
            jsonb_array_elements_text(jsonb_path_query_array(messages, '$[*].labels[*]')) AS label),
        'participant_emails', (SELECT coalesce(jsonb_agg(DISTINCT lower(email)), '[]') FROM
            jsonb_array_elements_text(jsonb_path_query_array(messages,
                '$[*].keyvalue() ? (@.key == "from_email" && @.value != null).value')
                || jsonb_path_query_array(messages, '$[*].to[*].email ? (@ != null)')
                || jsonb_path_query_array(messages, '$[*].cc[*].email ? (@ != null)')) AS email)
    ) AS data,
    emitted_at
FROM (
    SELECT data ->> 'thread_id' AS thread_id, count(*) AS message_count,
        (array_agg(data ->> 'subject' ORDER BY data ->> 'received_at', key))[1] AS subject,
        count(*) FILTER (WHERE data -> 'is_seen' = 'false') AS unread_count,
        count(*) FILTER (WHERE data -> 'is_flagged' = 'true') AS flagged_count,
        min(data ->> 'received_at') AS first_message_date, max(data ->> 'received_at') AS last_message_date,
        coalesce(bool_or(data -> 'has_attachments' = 'true'), false) AS has_attachments,
        jsonb_agg(jsonb_build_object('from_email', data -> 'from_email', 'to', data -> 'to', 'cc', data -> 'cc',
            'labels', data -> 'labels')) AS messages,
        max(emitted_at) AS emitted_at
    FROM records
    WHERE stream = 'messages' AND data ->> 'thread_id' IS NOT NULL
    GROUP BY data ->> 'thread_id'
) AS grouped
